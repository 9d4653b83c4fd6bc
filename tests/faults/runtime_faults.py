#!/usr/bin/env python3
"""jigsaw-oci killed at its system calls, one run for each: whatever create, start, exec, delete and run had made by then,
`delete --force` leaves no process, mount, cgroup or state behind.

strace injects the SIGKILL at the n-th system call of the runtime, then once more with the container's first process
counted too. By default a sample of the calls is taken; --all takes every one (some minutes).
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

# Tell our containers' programs from any other; the brief one is what `run` is given, which waits for its end.
SLEEP = "98761.%d" % os.getpid()
BRIEF = "0.00%d" % os.getpid()


class Stage:
    """A bundle with busybox, and jigsaw-oci with states of its own."""

    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        self.id = "faults-%d" % os.getpid()
        self.states = directory + "/states"
        binaries = directory + "/rootfs/bin"
        os.makedirs(binaries)
        shutil.copy(shutil.which("busybox"), binaries + "/busybox")
        os.symlink("busybox", binaries + "/sleep")
        self.oci("spec", "--bundle", directory)
        with open(directory + "/config.json") as file:
            self.config = json.load(file)
        self.config["linux"]["resources"]["memory"] = {"limit": 64 << 20}

    def write_config(self, seconds):
        self.config["process"].update(terminal=False, args=["sleep", seconds])
        with open(self.directory + "/config.json", "w") as file:
            json.dump(self.config, file)

    def oci(self, *words, before=()):
        command = [*before, self.program, "--root", self.states, *words]
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60).returncode

    def prepare(self, command):
        """What must have happened before `command`."""
        self.write_config(BRIEF if command == "run" else SLEEP)
        if command in ("start", "exec", "delete"):
            assert self.oci("create", "--bundle", self.directory, self.id) == 0, "create"
        if command in ("delete", "exec"):
            assert self.oci("start", self.id) == 0, "start"

    def words(self, command):
        return {"create": ["create", "--bundle", self.directory, self.id], "start": ["start", self.id],
                "exec": ["exec", "--detach", self.id, "sleep", SLEEP], "delete": ["delete", "--force", self.id],
                "run": ["run", "--bundle", self.directory, self.id]}[command]

    def leftovers(self):
        found = []
        with open("/proc/self/mountinfo") as file:
            found += ["mount " + line.strip() for line in file if self.directory in line]
        found += ["cgroup " + path for path, _, _ in os.walk("/sys/fs/cgroup") if self.id in path]
        found += ["state " + name for name in os.listdir(self.states) if name != ".seccomp"]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as file:
                    line = file.read().decode(errors="replace")
            except OSError:
                continue
            if SLEEP in line or BRIEF in line or (self.id in line and "jigsaw-oci" in line):
                found.append("process %s %s" % (pid, line.replace("\0", " ")))
        return found


def count_calls(stage, command):
    stage.prepare(command)
    trace = stage.directory + "/trace"
    stage.oci(*stage.words(command), before=["strace", "-o", trace])
    stage.oci("delete", "--force", stage.id)
    with open(trace) as file:
        return sum(1 for line in file if "(" in line)


def kill_at(stage, command, number, follow):
    stage.prepare(command)
    # With -f, strace also waits for a container that outlives its creator, as it may: then it is told to let go (-I1: it
    # hears that).
    before = [*(["timeout", "1"] if follow else []), "strace", "-I1", *(["-f"] if follow else []), "-o", "/dev/null", "-e", "trace=all", "-e", "inject=all:signal=KILL:when=%d" % number]
    stage.oci(*stage.words(command), before=before)
    code = stage.oci("delete", "--force", stage.id)
    left = stage.leftovers()
    if code != 0 or left:
        print("%s killed at call %d%s: delete --force gave %d, left: %s"
              % (command, number, " (with the first process)" if follow else "", code, "; ".join(left) or "nothing"))
        stage.oci("delete", "--force", stage.id)
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--all", action="store_true", help="every system call")
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("strace") or not shutil.which("busybox"):
        print("skipped: needs root, strace and busybox")
        return 77
    failures = tried = 0
    with tempfile.TemporaryDirectory(prefix="jigsaw-faults.") as directory:
        stage = Stage(options.bin + "/jigsaw-oci", directory)
        for command, samples in (("create", 60), ("start", 24), ("exec", 24), ("delete", 36), ("run", 80)):
            calls = count_calls(stage, command)
            step = 1 if options.all else max(1, calls // samples)
            for number in range(1, calls + 1, step):
                failures += kill_at(stage, command, number, follow=number % 2 == 0)
                tried += 1
                if options.all:
                    failures += kill_at(stage, command, number, follow=number % 2 != 0)
                    tried += 1
            print("%s: %d system calls, every %d. tried" % (command, calls, step), flush=True)
    print("%d kills, %d left something behind" % (tried, failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
