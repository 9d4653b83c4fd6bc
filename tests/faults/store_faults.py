"""Commands that are killed at random instants, and disks that are full: the store is whole after each, what it names works, and
`system prune` leaves nothing that no image needs.

    store_faults.py --bin BUILD/bin [--only NAME] [--kills 15]
"""
import argparse
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

from image_kit import damage_of, random_image, tags_of, unneeded

IMAGE, OTHER = random_image(), random_image(layers=2, seed=2)
FAILURES = []


def expect(condition, name, message):
    if not condition:
        FAILURES.append(name)
        print(f"FAILED {name}: {message}", flush=True)


class Room:
    """A store of its own, and layouts of two images."""

    def __init__(self, program):
        self.directory = tempfile.mkdtemp(prefix="jigsaw-store-faults-")
        self.program, self.store = program, self.directory + "/store"
        IMAGE.write_layout(self.directory + "/layout", "x/y:1")
        OTHER.write_layout(self.directory + "/other", "x/other:1")

    def words(self, *words):
        return [self.program, "--root", self.store, "--run-root", self.directory + "/run", *words]

    def run(self, *words):
        return subprocess.run(self.words(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    def must(self, *words):
        done = self.run(*words)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
        return done

    def close(self):
        subprocess.run(["rm", "-rf", self.directory], check=True)


def registry_of(room):
    """A real registry on loopback, or nothing."""
    program = shutil.which("docker-registry")
    if not program:
        return None, ""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = "127.0.0.1:%d" % free.getsockname()[1]
    with open(room.directory + "/registry.yml", "w") as out:
        out.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {room.directory}/registry}}}}\n"
                  f"http: {{addr: {host}}}\n")
    started = subprocess.Popen([program, "serve", room.directory + "/registry.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(host.split(":")[1]))) == 0:
                return started, host
        time.sleep(0.05)
    raise RuntimeError("the registry does not start")


def killed(program, name, kills, prepare, words, after):
    """`prepare` makes the same start each time; `after` says what must work once the command is done again in peace."""
    room, chance = Room(program), random.Random(name)
    registry, host = registry_of(room) if name == "push" else (None, "")
    try:
        if name == "push" and registry is None:
            return
        words = [each.format(room=room.directory, host=host) for each in words]
        prepare(room, host)
        began = time.monotonic()
        room.must(*words)
        duration = time.monotonic() - began
        for _ in range(kills):
            prepare(room, host)
            process = subprocess.Popen(room.words(*words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.random() * duration * 1.1)
            process.send_signal(signal.SIGKILL)
            process.wait()
            problems = [each for each in damage_of(room.store) if not each.endswith("left over")]
            expect(not problems, name, problems)
        prepare(room, host)
        room.must(*words)
        after(room, host)
        room.must("system", "prune", "-f")
        expect(not damage_of(room.store), name, damage_of(room.store))
        expect(not unneeded(room.store), name, unneeded(room.store))
    finally:
        if registry:
            registry.terminate()
            registry.wait()
        room.close()


def both_images(room, _):
    room.must("pull", "-q", f"oci:{room.directory}/other:x/other:1")
    room.must("pull", "-q", f"oci:{room.directory}/layout:x/y:1")


def fresh_registry(room, host):
    both_images(room, host)
    shutil.rmtree(room.directory + "/registry/docker/registry/v2/repositories/p", ignore_errors=True)
    shutil.rmtree(room.directory + "/registry/docker/registry/v2/blobs", ignore_errors=True)
    room.must("tag", "x/y:1", host + "/p/q:1")


def with_archive(room, _):
    both_images(room, _)
    if not os.path.exists(room.directory + "/in.tar"):
        room.must("save", "-q", "-o", room.directory + "/in.tar", "x/y:1")
        with open(room.directory + "/root.tar", "wb") as out:
            import gzip
            out.write(gzip.decompress(IMAGE.blobs[IMAGE.layers[0]]))
    room.must("rmi", "x/y:1")


def works(reference):
    def after(room, _):
        target = room.directory + "/unpacked"
        room.must("unpack", "-q", reference, target)
        expect(len(os.listdir(target)) > 0, reference, "nothing unpacked")
        shutil.rmtree(target)
    return after


def archive_is_whole(room, _):
    room.must("save", "-q", "-o", "/dev/null", "x/y:1")
    expect(stat.S_ISCHR(os.stat("/dev/null").st_mode), "save", "a device was replaced by an archive")
    room.must("rmi", "-f", "x/y:1")
    room.must("load", "-q", "-i", room.directory + "/out.tar")
    works("x/y:1")(room, _)


def pulls_back(room, host):
    room.must("rmi", host + "/p/q:1", "x/y:1")
    room.must("pull", "-q", host + "/p/q:1")
    works(host + "/p/q:1")(room, host)


COMMANDS = {
    "push": (fresh_registry, ["push", "-q", "{host}/p/q:1"], pulls_back),
    "rmi": (both_images, ["rmi", "x/y:1"], works("x/other:1")),
    "prune": (both_images, ["system", "prune", "-a"], lambda room, _: expect(tags_of(room.store) == [], "prune", tags_of(room.store))),
    "save": (both_images, ["save", "-q", "-o", "{room}/out.tar", "x/y:1"], archive_is_whole),
    "load": (with_archive, ["load", "-q", "-i", "{room}/in.tar"], works("x/y:1")),
    "import": (with_archive, ["import", "{room}/root.tar", "im/ported:1"], works("im/ported:1")),
    "tag": (both_images, ["tag", "x/y:1", "x/z:1"], works("x/z:1")),
}


def full_disk(program, name, words, sizes, result):
    """The same command in stores of growing size: no space left, said so, the store whole; with room enough it works."""
    room = Room(program)
    with_archive(room, "")
    for size in sizes:
        disk = room.directory + "/disk"
        os.makedirs(disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", disk], check=True)
        room.store = disk + "/store"
        try:
            full = [each.format(room=room.directory, disk=disk) for each in words]
            done = room.run(*full)
            expect(done.returncode == 125, f"{name} in {size} KiB", f"exit code {done.returncode}: {done.stderr[-300:]}")
            expect("No space left" in done.stderr and done.stderr.count("error:") == 1, f"{name} in {size} KiB", done.stderr[-300:])
            if os.path.exists(room.store + "/index.json"):
                expect(not damage_of(room.store) and tags_of(room.store) == [], f"{name} in {size} KiB", damage_of(room.store))
            expect(not os.path.exists(disk + "/root") or not os.listdir(disk + "/root"), f"{name} in {size} KiB", "half a root is left")
            subprocess.run(["mount", "-o", "remount,size=40m", disk], check=True)
            done = room.run(*full)
            expect(done.returncode == 0, f"{name} after {size} KiB", done.stderr[-300:])
            if result:
                works(result)(room, "")
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)
            os.rmdir(disk)
    room.close()


DISKS = {
    "pull to a full disk": (["pull", "-q", "oci:{room}/layout:x/y:1"], [60, 400, 700, 1000, 1500, 1800], None),
    "load to a full disk": (["load", "-q", "-i", "{room}/in.tar"], [60, 500, 1000, 1700], "x/y:1"),
    "import to a full disk": (["import", "{room}/root.tar", "im/ported:1"], [60, 200], "im/ported:1"),
    "unpack to a full disk": (["unpack", "-q", "oci:{room}/layout:x/y:1", "{disk}/root"], [30, 400, 800], None),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--kills", type=int, default=15)
    options = parser.parse_args()
    program = options.bin + "/jigsaw"
    if os.geteuid() != 0 or not os.path.exists(options.bin + "/jigsaw-transfer"):
        print("skipped: needs root and jigsaw-transfer")
        return 77
    if os.environ.get("STORE_FAULTS_NAMESPACE") is None:  # what is mounted goes with us
        os.environ["STORE_FAULTS_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    for name, (prepare, words, after) in COMMANDS.items():
        if options.only in name:
            killed(program, name, options.kills, prepare, words, after)
    for name, (words, sizes, result) in DISKS.items():
        if options.only in name:
            full_disk(program, name, words, sizes, result)
    print(f"{len(FAILURES)} failures")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
