#!/usr/bin/env python3
"""jigsaw-oci --systemd-cgroup beside a real systemd, on a kernel with cgroup v2 only, in the virtual machine of vm.py.

    systemd_vm.py --build build/release

The machine's disk holds this host's systemd and dbus-daemon; systemd is its PID 1, and one service of it runs the script
below. Emulated, it takes some 20 seconds.

Exit codes: 0 all is as it should be, 1 something is not, 77 the machine can't be had here (the reason is printed).
"""

import argparse
import os
import re
import shutil
import sys
import tempfile

import vm

STAGE2 = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
hostname vm
exec /usr/lib/systemd/systemd --unit=test.target --log-target=kmsg --log-level=warning --show-status=no
"""

UNITS = {
    "test.target": "[Unit]\nDefaultDependencies=no\nWants=test.service\n",
    "test.service": "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\nAfter=dbus.socket\n"
                    "[Service]\nType=oneshot\nExecStart=/test\nStandardOutput=file:/dev/ttyS0\nStandardError=file:/dev/ttyS0\n",
    "dbus.socket": "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/dbus/system_bus_socket\n",
    "dbus.service": "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\n"
                    "[Service]\nExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation\n",
}

TEST = r"""#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
expect() {  # NAME EXPECTED FOUND
  if [ "$2" = "$3" ]; then echo "check: ok $1"; else echo "check: FAILED $1: expected '$2', found '$3'"; fi
}
property() { systemctl show "$1" -p "$2" --value; }
gone() {  # systemd forgets a scope that is empty, in its own time
  for i in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(property jigsaw-$1.scope LoadState)" = not-found ] && return 0
    sleep 0.3
  done
  systemctl show jigsaw-$1.scope -p ActiveState -p SubState -p Result -p CollectMode
  return 1
}
oci="@BIN@/jigsaw-oci --root /run/states --systemd-cgroup"
mkdir -p /run/b/rootfs/bin && cp /bin/busybox /run/b/rootfs/bin/
for name in sh sleep true cat; do ln -s busybox /run/b/rootfs/bin/$name; done
configure() { sed "s/inner.slice:jigsaw:one/inner.slice:jigsaw:$1/; s/\"sleep\", \"300\"/$2/" /config.json > /run/b/config.json; }
configure one '"sleep", "300"'
cd /run
scope=jigsaw-one.scope; tree=/sys/fs/cgroup/test.slice/test-inner.slice/$scope

$oci create --bundle /run/b one </dev/null >/run/out 2>&1; expect create 0 $?; cat /run/out
expect state created "$($oci state one | sed -n 's/.*"status": "\(.*\)".*/\1/p')"
expect active active "$(property $scope ActiveState)"
expect slice test-inner.slice "$(property $scope Slice)"
expect place /test.slice/test-inner.slice/$scope "$(property $scope ControlGroup)"
expect MemoryMax 67108864 "$(property $scope MemoryMax)"
expect TasksMax 50 "$(property $scope TasksMax)"
expect CPUQuota 500ms "$(property $scope CPUQuotaPerSecUSec)"
expect annotation 7s "$(property $scope TimeoutStopUSec)"
expect memory.max 67108864 "$(cat $tree/memory.max)"
expect pids.max 50 "$(cat $tree/pids.max)"
pid=$($oci state one | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
expect member "0::/test.slice/test-inner.slice/$scope" "$(cat /proc/$pid/cgroup)"

$oci start one; expect start 0 $?
expect exec "0::/" "$($oci exec one cat /proc/self/cgroup)"
expect device refused "$($oci exec one sh -c '(: < /dev/own) 2>/dev/null && echo opened || echo refused')"
$oci update --memory 134217728 --pids-limit 70 --cpu-quota 20000 --cpu-period 100000 one; expect update 0 $?
expect "MemoryMax updated" 134217728 "$(property $scope MemoryMax)"
expect "TasksMax updated" 70 "$(property $scope TasksMax)"
expect "CPUQuota updated" 200ms "$(property $scope CPUQuotaPerSecUSec)"
expect "memory.max updated" 134217728 "$(cat $tree/memory.max)"
systemctl daemon-reload; expect reload 0 $?
expect "memory.max after daemon-reload" 134217728 "$(cat $tree/memory.max)"
expect "pids.max after daemon-reload" 70 "$(cat $tree/pids.max)"
expect "device after daemon-reload" refused "$($oci exec one sh -c '(: < /dev/own) 2>/dev/null && echo opened || echo refused')"
expect "null after daemon-reload" opened "$($oci exec one sh -c '(: < /dev/null) && echo opened')"
$oci pause one; expect pause 0 $?
expect paused paused "$($oci state one | sed -n 's/.*"status": "\(.*\)".*/\1/p')"
$oci resume one; expect resume 0 $?
expect ps "1" "$($oci ps --format json one | tr ',' '\n' | wc -l)"
$oci kill one KILL; sleep 1
$oci delete one; expect delete 0 $?
gone one; expect gone 0 $?
expect "cgroup gone" no "$([ -e $tree ] && echo yes || echo no)"

configure two '"sh", "-c", "exit 9"'
$oci run --bundle /run/b two </dev/null; expect run 9 $?
gone two; expect "scope of run gone" 0 $?
configure three '"nosuch"'
$oci run --bundle /run/b three </dev/null >/run/out 2>&1; expect "run of nothing" 127 $?
gone three; expect "scope of a failure gone" 0 $?
configure four '"sleep", "300"'
$oci run --detach --bundle /run/b four </dev/null >/run/out 2>&1; expect detached 0 $?; cat /run/out
expect "the same scope again" refused "$($oci create --bundle /run/b five </dev/null 2>&1 | grep -q 'four.scope' && echo refused)"
expect "and the first still there" active "$(property jigsaw-four.scope ActiveState)"
$oci delete --force four; expect "delete --force" 0 $?
gone four; expect "scope of delete --force gone" 0 $?
expect states "" "$(ls /run/states)"
echo "check: done"
poweroff -f
"""


def config():
    """Written by hand: `jigsaw-oci spec` is for machines that run the build."""
    import json
    return json.dumps({
        "ociVersion": "1.2.0",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["sleep", "300"], "cwd": "/", "env": ["PATH=/bin"],
                    "capabilities": {"bounding": [], "effective": [], "permitted": []}, "noNewPrivileges": True},
        "root": {"path": "rootfs"},
        "annotations": {"org.systemd.property.TimeoutStopSec": "uint64 7"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
        "linux": {"cgroupsPath": "test-inner.slice:jigsaw:one",
                  "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "cgroup", "network")],
                  "devices": [{"path": "/dev/own", "type": "c", "major": 1, "minor": 11}],
                  "resources": {"memory": {"limit": 64 << 20}, "pids": {"limit": 50}, "cpu": {"quota": 50000, "period": 100000},
                                "devices": [{"allow": False, "access": "rwm"}]}}})


def make_root(root, options):
    tree = vm.Tree(root)
    shutil.copy("/bin/busybox", f"{root}/bin/busybox")
    shell = os.path.realpath("/bin/sh")
    tree.copy_program(shell)
    os.symlink(shell, f"{root}/bin/sh")
    for program in ["/lib/systemd/systemd", "/usr/bin/systemctl", "/usr/bin/dbus-daemon"]:
        tree.copy_program(os.path.realpath(program))
    tree.copy_directory("/usr/share/dbus-1")
    build = os.path.abspath(options.build)
    for name in ["jigsaw-oci", "jigsaw-sdbus"]:
        tree.copy_program(f"{build}/bin/{name}")
    for name, text in UNITS.items():
        tree.write(f"/etc/systemd/system/{name}", text)
    tree.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    tree.write("/etc/os-release", "ID=test\nNAME=test\n")
    tree.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nmessagebus:x:100:100::/:/bin/false\nnobody:x:65534:65534::/:/bin/sh\n")
    tree.write("/etc/group", "root:x:0:\nmessagebus:x:100:\nnogroup:x:65534:\n")
    tree.write("/etc/hostname", "vm\n")
    tree.write("/config.json", config())
    tree.write("/test", TEST.replace("@BIN@", f"{build}/bin"), 0o755)
    tree.write("/stage2", STAGE2, 0o755)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--seconds", type=int, default=240)
    options = parser.parse_args()
    for needed in ["qemu-system-x86_64", "busybox", "ldd", "mke2fs", "systemctl", "dbus-daemon"]:
        if not shutil.which(needed):
            vm.skip(f"{needed} is not installed")
    if not os.path.exists("/lib/systemd/systemd") or not os.path.exists(f"{options.build}/bin/jigsaw-sdbus"):
        vm.skip("no systemd here, or jigsaw-sdbus was not built")
    kernel, version = vm.newest_kernel()
    passed, failed, done = 0, [], False
    with tempfile.TemporaryDirectory(prefix="jigsaw-vm-") as work:
        vm.make_initramfs(work, version)
        os.mkdir(f"{work}/root")
        make_root(f"{work}/root", options)
        vm.make_file_system(work)
        for line in vm.boot(kernel, work, options.seconds):
            print(line, flush=True)
            passed += line.startswith("check: ok")
            done = done or line == "check: done"
            if match := re.match(r"check: FAILED (.*)", line):
                failed.append(match[1])
    if not done:
        failed.append(f"the machine did not come to its end within {options.seconds} s")
    for name in failed:
        print(f"vm: failed: {name}")
    print(f"vm: {passed} passed, {len(failed)} failed")
    sys.exit(1 if failed or passed == 0 else 0)


if __name__ == "__main__":
    main()
