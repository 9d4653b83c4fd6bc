#!/usr/bin/env python3
"""Images of a user without root who has subordinate ids: every owner, mode and attribute survives pull, save, load, unpack and run;
rmi and prune remove what is not his by name; commands that are killed leave a whole store.

    rootless_images.py --bin BUILD/bin [--kills 10]

The user is nobody; /etc/subuid and /etc/subgid are bound over in a mount namespace of this test.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from image_kit import damage_of, unneeded
from layer_kit import Layout, access_list, archive, capability, entry, file, folder, gzipped, hardlink, pax, symlink

USER, FIRST, COUNT = 65534, 200_000, 65_536
APP, WEB = 1000, 33
TOOLS = ("sh", "ls", "stat", "id", "cat", "touch")
FAILURES = []


def expect(condition, what, seen=""):
    if not condition:
        FAILURES.append(what)
        print(f"FAILED {what}: {seen}", flush=True)


def layers():
    with open("/bin/busybox", "rb") as opened:
        busybox = opened.read()
    lower = archive(
        folder("./"), folder("bin"), file("bin/busybox", busybox, mode=0o755),
        *[hardlink("bin/" + each, "bin/busybox", mode=0o755) for each in TOOLS],
        folder("etc"), file("etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"),
        file("etc/group", "root:x:0:\napp:x:1000:\nextra:x:2000:app\n"),
        folder("home"), folder("home/app", 0o700, uid=APP, gid=APP), file("home/app/secret", "s", uid=APP, gid=APP, mode=0o600),
        folder("srv", 0o2775, uid=WEB, gid=WEB), file("srv/page", "p", uid=WEB, gid=WEB), file("srv/setuid", uid=WEB, gid=WEB, mode=0o4755),
        hardlink("srv/hard", "srv/page", uid=WEB, gid=WEB), symlink("link", "srv/hard", uid=WEB, gid=WEB),
        folder("dev"), entry("dev/x", b"3", dev=(1, 3)), folder("closed", 0o000, uid=APP, gid=APP),
        pax([(b"SCHILY.xattr.security.capability", capability())]), file("cap"), pax({"SCHILY.xattr.user.k": "v"}), file("xattr"),
        pax([(b"SCHILY.xattr.system.posix_acl_access", access_list(WEB))]), file("acl"), file("far", uid=65_534, gid=65_534))
    upper = archive(file("home/app/new", uid=APP, gid=APP), file("srv/.wh.page", b""), file("closed/in", "i", uid=APP, gid=APP))
    return [(gzipped(lower), lower), upper]


OWNERS = {"/bin/sh": "0:0 755", "/etc/passwd": "0:0 644", "/home/app": "1000:1000 700", "/home/app/secret": "1000:1000 600",
          "/home/app/new": "1000:1000 644", "/srv": "33:33 2775", "/srv/hard": "33:33 644", "/srv/setuid": "33:33 4755", "/link": "33:33 777",
          "/closed": "1000:1000 0", "/closed/in": "1000:1000 644", "/far": "65534:65534 644"}


class Room:
    def __init__(self, program):
        self.directory = tempfile.mkdtemp(prefix="jigsaw-rootless-images-")
        os.chmod(self.directory, 0o755)
        self.program, self.home = program, self.directory + "/home"
        self.store = self.home + "/store"
        os.makedirs(self.home)
        os.chown(self.home, USER, USER)
        Layout(self.directory + "/layout").image(layers())

    def words(self, *words, store=None):
        return ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "env", "HOME=" + self.home, self.program, "--root",
                store or self.store, "--run-root", self.home + "/run", *words]

    def run(self, *words, store=None):
        return subprocess.run(self.words(*words, store=store), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    def must(self, *words, store=None):
        done = self.run(*words, store=store)
        expect(done.returncode == 0, " ".join(words), done.stderr[-400:])
        return done.stdout

    def pull(self):
        return self.must("pull", "-q", f"oci:{self.directory}/layout:t")

    def close(self):
        subprocess.run(["rm", "-rf", self.directory], check=True)


IMAGE = "localhost/layout:t"


def owners_inside(room, store=None):
    """As a container sees them."""
    seen = room.must("run", "--rm", IMAGE, "stat", "-c", "%n %u:%g %a", *OWNERS, store=store)
    seen = dict(line.split(" ", 1) for line in seen.splitlines())
    expect(seen == OWNERS, "owners in a container", {each: seen.get(each) for each in OWNERS if seen.get(each) != OWNERS[each]})


def owners_outside(top):
    """As the host sees them: root is the user himself, all others are in his range."""
    host = lambda number: USER if number == 0 else FIRST + number - 1
    for name, line in OWNERS.items():
        user, group = (host(int(each)) for each in line.split()[0].split(":"))
        status = os.lstat(top + name)
        expect((status.st_uid, status.st_gid) == (user, group), f"owner of {name} on the host", (status.st_uid, status.st_gid))
        if name != "/link":
            expect("%o" % (status.st_mode & 0o7777) == line.split()[1], f"mode of {name} on the host", "%o" % status.st_mode)
    expect(not os.path.lexists(top + "/srv/page") and not os.path.lexists(top + "/dev/x"), "what is not there")
    expect(os.getxattr(top + "/xattr", "user.k") == b"v", "user.k")
    expect(os.getxattr(top + "/cap", "security.capability")[:4] == b"\x01\0\0\x03", "file capabilities, good in the user's namespace alone")
    expect(os.getxattr(top + "/acl", "system.posix_acl_access")[12:20] == (2).to_bytes(2, "little") + (4).to_bytes(2, "little") +
           (FIRST + WEB - 1).to_bytes(4, "little"), "the access list names the user of the range")


def journey(room):
    room.pull()
    owners_inside(room)
    user = room.must("run", "--rm", "--user", "app", IMAGE, "sh", "-c", "id -u; id -G; cat /home/app/secret; touch /home/app/x && stat -c %u /home/app/x")
    expect(user.split() == ["1000", "1000", "2000", "s1000"], "a container of another user", user)
    room.must("unpack", "-q", IMAGE, room.home + "/tree")
    owners_outside(room.home + "/tree")
    room.must("save", "-q", "-o", room.home + "/saved.tar", IMAGE)
    room.must("load", "-q", "-i", room.home + "/saved.tar", store=room.home + "/second")
    owners_inside(room, room.home + "/second")
    for archive_kind in ("oci-archive", "docker-archive"):
        room.must("copy", "-q", IMAGE, f"{archive_kind}:{room.home}/{archive_kind}")
        if shutil.which("skopeo"):  # a reader that knows nothing of ours
            done = subprocess.run(["skopeo", "inspect", f"{archive_kind}:{room.home}/{archive_kind}"], capture_output=True, check=False)
            expect(done.returncode == 0, f"skopeo reads the {archive_kind}", done.stderr)
    room.must("rmi", IMAGE, store=room.home + "/second")
    expect(os.listdir(room.home + "/second/layers") == [], "rmi leaves layers", os.listdir(room.home + "/second/layers"))
    room.must("run", "--name", "kept", IMAGE, "sh", "-c", "touch /srv/mine && chown 33:33 /srv/mine 2>/dev/null; true")
    expect(room.run("rmi", IMAGE).returncode != 0, "an image that a container needs is removed")
    room.must("rm", "kept")
    room.must("rmi", IMAGE)
    room.must("system", "prune", "-f", "-a")
    expect(not unneeded(room.store), "prune", unneeded(room.store))


def gone(store):
    """Whether all processes that work on a store end within a second."""
    for _ in range(50):
        lines = []
        for each in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{each}/cmdline", "rb") as opened:
                    lines.append(opened.read())
            except OSError:
                pass  # it has ended
        if not any(store.encode() + b"\0" in each for each in lines):
            return True
        time.sleep(0.02)
    return False


def killed(room, kills):
    """Each command at random instants. What it leaves to do is done by the next one, as the same user."""
    chance = random.Random(7)
    commands = {"pull": lambda: room.run("rmi", IMAGE), "rmi": room.pull, "prune": room.pull, "load": lambda: room.run("rmi", IMAGE)}
    words = {"pull": ["pull", "-q", f"oci:{room.directory}/layout:t"], "rmi": ["rmi", IMAGE], "prune": ["system", "prune", "-a", "-f"],
             "load": ["load", "-q", "-i", room.home + "/saved.tar"]}
    for name, prepare in commands.items():
        prepare()
        began = time.monotonic()
        room.must(*words[name])
        duration = time.monotonic() - began
        for _ in range(kills):
            prepare()
            process = subprocess.Popen(room.words(*words[name]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.random() * duration)
            process.send_signal(signal.SIGKILL)
            process.wait()
            expect(gone(room.store), f"{name}, killed", "a process of it goes on")
            problems = [each for each in damage_of(room.store) if not each.endswith("left over")]
            expect(not problems, f"{name}, killed", problems)
        room.pull()
        owners_inside(room)
        room.must("system", "prune", "-f")
        expect(not damage_of(room.store) + unneeded(room.store), f"{name}, killed", damage_of(room.store) + unneeded(room.store))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--kills", type=int, default=8)
    options = parser.parse_args()
    needed = [each for each in ("newuidmap", "setpriv", "/bin/busybox") if not shutil.which(each)]
    needed += [each for each in ("/etc/subuid", "/etc/subgid") if not os.path.exists(each)]
    if os.geteuid() != 0 or needed or not os.path.exists(options.bin + "/jigsaw-transfer"):
        print("skipped: needs root, jigsaw-transfer and", *needed)
        return 77
    if os.environ.get("ROOTLESS_IMAGES_NAMESPACE") is None:  # what is mounted goes with us
        os.environ["ROOTLESS_IMAGES_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    room = Room(options.bin + "/jigsaw")
    try:
        with open(room.directory + "/ids", "w") as out:
            out.write(f"{USER}:{FIRST}:{COUNT}\n")
        for each in ("/etc/subuid", "/etc/subgid"):
            subprocess.run(["mount", "--bind", room.directory + "/ids", each], check=True)
        journey(room)
        killed(room, options.kills)
    finally:
        room.close()
    print(f"{len(FAILURES)} failures")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
