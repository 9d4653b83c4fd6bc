#!/usr/bin/env python3
"""Runs test programs in a virtual machine whose kernel has cgroup v2 only.

    vm.py --build build/release --tests root,step [--filter REGEX] [--seconds 480]

The machine is Debian's cloud kernel under QEMU's own emulation (no KVM needed) with a disk that is made here: busybox,
the test programs with their libraries, and the few host programs that they call. A tiny initramfs loads the drivers
and makes the disk the root (pivot_root(2) refuses the initramfs itself); then cgroup2 is mounted, each program run, and
the machine powered off. What the programs print comes back over the serial line; what a passing test printed is left
out; the last line counts the tests.

Exit codes: 0 all passed, 1 something failed, 77 the machine can't be had here (the reason is printed).
"""

import argparse
import glob
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

# Modules for the disk, and those that tests need; a kernel that has them built in lists none of these files.
MODULES = ["virtio_pci", "virtio_blk", "ext4", "overlay", "veth", "bridge", "tun", "dummy", "nf_tables", "nft_chain_nat", "nft_masq", "nft_nat", "nft_compat",
           "xt_MASQUERADE", "fuse", "loop"]
# Host programs that tests call when they are there.
PROGRAMS = ["ip", "nft", "newuidmap", "newgidmap", "setpriv", "ps", "script", "timeout", "unshare", "nsenter", "getfattr", "setfattr", "strace", "tar", "xz", "zstd"]

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read module; do insmod "$module" 2>/dev/null; done < /modules.list
mkdir /newroot
mount -t ext4 -o rw,noatime /dev/vda /newroot
for name in proc sys dev; do mount --move /$name /newroot/$name; done
chroot /newroot /bin/busybox --install -s /bin
exec /newroot/bin/busybox switch_root /newroot /stage2
"""

STAGE2 = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C CI=true JIGSAW_VM=1
exec 2>&1
mkdir -p /dev/pts /dev/shm /dev/mqueue /tmp /run /root /var/lib /var/tmp
chmod 1777 /tmp /var/tmp
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd; ln -sf pts/ptmx /dev/ptmx 2>/dev/null
ip link set lo up
hostname vm
echo 1 > /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null
echo "vm: $(uname -r), controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
run() {
  { timeout @EACH@ "$program" "$1" --gtest_color=no </dev/null 2>&1; echo $? >/status; } | tee /printed
}
while read program; do
  echo "vm: begin $program"
  run '--gtest_filter=@FILTER@'
  # An emulated processor loses races that no user meets: what fails has one more attempt, by itself.
  failed=$(sed -n 's/^\\[  FAILED  \\] \\([^ ,]*\\).* ms)$/\\1:/p' /printed | tr -d '\\n')
  if [ -n "$failed" ]; then run "--gtest_filter=$failed"; fi
  echo "vm: end $program $(cat /status)"
done < /programs.list
echo "vm: done"
poweroff -f
"""


def skip(reason):
    print(f"vm: skipped: {reason}")
    sys.exit(77)


def newest_kernel():
    for image in sorted(glob.glob("/boot/vmlinuz-*-cloud-amd64"), reverse=True):
        version = image[len("/boot/vmlinuz-"):]
        if os.path.isdir(f"/lib/modules/{version}"):
            return image, version
    skip("no Debian cloud kernel in /boot (package linux-image-cloud-amd64)")


def libraries_of(program):
    """The shared libraries that the loader would take, with the loader itself."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", listed)


class Tree:
    """A root directory on its way into a cpio archive."""

    def __init__(self, root):
        self.root = root
        for name in ["bin", "sbin", "usr/bin", "usr/sbin", "etc", "proc", "sys", "dev", "tmp", "run", "root", "home/user"]:
            os.makedirs(f"{root}/{name}", exist_ok=True)

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        with open(self.root + path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.root + path, mode)

    def copy(self, path, strip=False):
        """A host file at its own path, links followed."""
        target = self.root + path
        if os.path.exists(target):
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if strip and subprocess.run(["strip", "--strip-debug", "-o", target, path], capture_output=True, check=False).returncode == 0:
            os.chmod(target, os.stat(path).st_mode & 0o7777)
            return
        shutil.copy(path, target)
        os.chmod(target, os.stat(path).st_mode & 0o7777)

    def copy_program(self, path):
        self.copy(path, strip=True)
        for library in libraries_of(path):
            self.copy(library)

    def copy_directory(self, path):
        if os.path.isdir(path):
            shutil.copytree(path, self.root + path, symlinks=True, dirs_exist_ok=True)


def write_cpio(root, output):
    """The "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def put(name, mode, data, links=1):
        raw = name.encode() + b"\0"
        fields = [put.inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(raw), 0]
        put.inode += 1
        output.write(b"070701" + "".join(f"{field:08x}" for field in fields).encode() + raw)
        output.write(b"\0" * (-(110 + len(raw)) % 4) + data + b"\0" * (-len(data) % 4))

    put.inode = 1
    for directory, directories, files in os.walk(root):
        for name in sorted(directories + files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            data = b""
            if stat.S_ISLNK(status.st_mode):
                data = os.readlink(path).encode()
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    data = file.read()
            put(os.path.relpath(path, root), status.st_mode, data)
    put("TRAILER!!!", 0, b"")


def module_files(version):
    """The modules and what they need, in the order in which they can be inserted."""
    base = f"/lib/modules/{version}"
    needs = {}
    with open(f"{base}/modules.dep", encoding="utf-8") as table:
        for line in table:
            file, _, others = line.partition(":")
            needs[file] = others.split()
    by_name = {os.path.basename(file).split(".")[0]: file for file in needs}
    order = []
    for name in MODULES:
        if name in by_name:
            for file in reversed([by_name[name]] + needs[by_name[name]]):
                if file not in order:
                    order.append(file)
    return [f"{base}/{file}" for file in order]


def make_root(root, version, options):
    tree = Tree(root)
    shutil.copy("/bin/busybox", f"{root}/bin/busybox")
    # The host's shell: busybox's own would take its applets for the programs of the same names.
    shell = os.path.realpath("/bin/sh")
    tree.copy_program(shell)
    os.symlink(shell, f"{root}/bin/sh")
    for name in PROGRAMS:
        path = shutil.which(name)
        if path:
            tree.copy_program(os.path.realpath(path))
            if os.path.realpath(path) != path and not os.path.lexists(root + path):
                os.symlink(os.path.realpath(path), root + path)
    build = os.path.abspath(options.build)
    programs = []
    for label in options.tests.split(","):
        programs += sorted(file for file in glob.glob(f"{build}/tests/{label}_*") if os.access(file, os.X_OK) and os.path.isfile(file))
    if not programs:
        skip(f"no test programs {options.tests} in {build}/tests")
    for file in programs + sorted(glob.glob(f"{build}/bin/*")) + sorted(glob.glob(f"{build}/libexec/jigsaw/*")):
        if os.path.isfile(file) and os.access(file, os.X_OK):
            tree.copy_program(file)
    tree.write("/programs.list", "".join(f"{program}\n" for program in programs))
    source = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
    tree.copy_directory(f"{source}/tests/data")
    tree.copy_directory(f"{source}/examples")

    tree.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    tree.write("/etc/group", "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n")
    tree.write("/etc/subuid", "user:100000:65536\n")
    tree.write("/etc/subgid", "user:100000:65536\n")
    tree.write("/etc/hostname", "vm\n")
    tree.write("/etc/hosts", "127.0.0.1 localhost\n")
    tree.write("/stage2", STAGE2.replace("@EACH@", str(options.each)).replace("@FILTER@", options.filter), 0o755)


def make_initramfs(work, version):
    tree = Tree(f"{work}/early")
    shutil.copy("/bin/busybox", f"{work}/early/bin/busybox")
    modules = module_files(version)
    for module in modules:
        tree.copy(module)
    tree.write("/modules.list", "".join(f"{module}\n" for module in modules))
    tree.write("/init", INIT, 0o755)
    with open(f"{work}/initramfs", "wb") as archive:
        write_cpio(f"{work}/early", archive)


def make_disk(work, version, options):
    os.mkdir(f"{work}/root")
    make_root(f"{work}/root", version, options)
    make_file_system(work)


def make_file_system(work):
    """The directory root of `work` becomes the file system on disk."""
    with open(f"{work}/disk", "wb") as disk:
        disk.truncate(4 << 30)
    made = subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", f"{work}/root", f"{work}/disk"],
                          capture_output=True, text=True, check=False)
    if made.returncode != 0:
        sys.exit(f"vm: mke2fs failed: {made.stderr}")
    shutil.rmtree(f"{work}/root")


def boot(kernel, work, seconds):
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536", "-nographic", "-no-reboot",
               "-nodefaults", "-serial", "stdio", "-kernel", kernel, "-initrd", f"{work}/initramfs",
               "-drive", f"file={work}/disk,if=virtio,format=raw,cache=unsafe",
               "-append", "console=ttyS0 quiet panic=-1 cgroup_no_v1=all oops=panic random.trust_cpu=on"]
    with subprocess.Popen(["timeout", "--kill-after=5", str(seconds)] + command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as machine:
        for line in machine.stdout:
            yield re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1bc", "", line.rstrip("\r\n"))


def show(lines):
    """Prints the lines and forgets them."""
    for line in lines:
        print(line, flush=True)
    lines.clear()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--tests", default="root")
    parser.add_argument("--filter", default="*")
    parser.add_argument("--seconds", type=int, default=480)
    parser.add_argument("--each", type=int, default=240)
    options = parser.parse_args()
    for needed in ["qemu-system-x86_64", "busybox", "strip", "ldd", "mke2fs"]:
        if not shutil.which(needed):
            skip(f"{needed} is not installed")
    kernel, version = newest_kernel()

    passed, failed, skipped, done, running, printed = 0, [], 0, False, "", []
    with tempfile.TemporaryDirectory(prefix="jigsaw-vm-") as work:
        make_initramfs(work, version)
        make_disk(work, version, options)
        for line in boot(kernel, work, options.seconds):
            printed.append(line)
            if match := re.match(r"vm: end (\S+) (\d+)", line):
                if match[2] not in ("0", "1"):
                    failed.append(f"{os.path.basename(match[1])} ended with {match[2]}, in {running or 'no test'}")
                running = ""
            elif match := re.search(r"\[ RUN      \] (\S+)", line):
                running = match[1]
            elif match := re.search(r"\[       OK \] (\S+) \(", line):
                passed += 1
                if match[1] in failed:
                    failed.remove(match[1])
                    print(f"vm: passed at the second attempt: {match[1]}", flush=True)
                printed.clear()
            elif re.search(r"\[  SKIPPED \] \S+ \(", line):
                skipped += 1
                show(printed)
            elif match := re.search(r"\[  FAILED  \] ([^\s,]+).* \(\d+ ms\)", line):
                if match[1] not in failed:
                    failed.append(match[1])
                show(printed)
            elif line == "vm: done":
                done = True
    show(printed)
    if not done:
        failed.append(f"the machine did not come to its end within {options.seconds} s" + (f", it was in {running}" if running else ""))
    for name in failed:
        print(f"vm: failed: {name}")
    print(f"vm: {passed} passed, {len(failed)} failed, {skipped} skipped")
    sys.exit(1 if failed or passed == 0 else 0)


if __name__ == "__main__":
    main()
