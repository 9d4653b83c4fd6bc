#!/usr/bin/env python3
"""Prints what containers cost with jigsaw, jigsaw-oci, crun and runc, as ratios to crun and to the bare kernel calls.

    sudo tests/bench/oci.py build/release        (about a minute; wants a quiet machine)

Median wall and CPU time of a busybox bundle running `true`, and of `jigsaw run` on jigsaw/base, by turns. On a machine with cgroup v1 and v2 together crun
refuses to work, so all of it happens in a mount namespace in which the v2 tree is hidden.
"""
import json, os, random, shutil, statistics, subprocess, sys, tempfile, time

NOWHERE = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
           (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]


def measure(command):
    # Not subprocess with a time limit: it looks for the end in pauses that double, and every time becomes one of 8, 16, 32 ms.
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=NOWHERE)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        raise SystemExit(f"{command}: exit code {os.waitstatus_to_exitcode(status)}")
    return wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3


def by_turns(actions, rounds):
    """Medians of wall and CPU milliseconds. In random order and with pauses: the kernel clears away behind the one before."""
    times = {name: [] for name in actions}
    for _ in range(rounds + 1):
        for name in random.sample(list(actions), len(actions)):
            time.sleep(0.02)
            times[name].append(actions[name]())
    return {name: [statistics.median(column) for column in zip(*rows[1:])] for name, rows in times.items()}


def make_bundle(directory, build):
    root = os.path.join(directory, "rootfs")
    os.makedirs(os.path.join(root, "bin"))
    os.makedirs(os.path.join(root, "proc"))
    shutil.copy(shutil.which("busybox"), os.path.join(root, "bin/busybox"))
    for name in ("true", "sleep", "sh"):
        os.symlink("busybox", os.path.join(root, "bin", name))
    subprocess.run([os.path.join(build, "bin/jigsaw-oci"), "spec", "--bundle", directory], check=True)
    path = os.path.join(directory, "config.json")
    config = json.load(open(path))
    config["ociVersion"] = "1.0.2"
    config["process"]["terminal"] = False
    config["root"]["path"] = root
    for name, args in (("config.json", ["true"]), ("idle.json", ["sleep", "600"])):
        config["process"]["args"] = args
        json.dump(config, open(os.path.join(directory, name), "w"))


def of_runtime(program, directory, idle):
    """The actions that are measured of a runtime, by name."""
    name = os.path.basename(program)
    base = [program, "--root", os.path.join(directory, "states-of-" + name)]
    short, long = f"bench-{name}", f"bench-{name}-idle"

    def life():
        steps = [measure(base + ["create", "--bundle", directory, short]), measure(base + ["start", short])]
        time.sleep(0.01)
        steps.append(measure(base + ["delete", "--force", short]))
        return [sum(column) for column in zip(*steps)]

    measure(base + ["create", "--bundle", idle, long])
    measure(base + ["start", long])
    return {"run": lambda: measure(base + ["run", "--bundle", directory, short]), "create+start+delete": life,
            "exec": lambda: measure(base + ["exec", long, "true"]), "end": lambda: measure(base + ["delete", "--force", long])}


def show(who, what, times, others):
    line = f"{who:20} {what:20} {times[0]:8.2f} ms wall {times[1]:8.2f} ms CPU"
    for name, other in others.items():
        line += f"   {times[0] / other[0]:.2f} / {times[1] / other[1]:.2f} of {name}"
    print(line)


def compare(build, directory):
    idle = os.path.join(directory, "idle")
    os.makedirs(idle)
    make_bundle(directory, build)
    shutil.move(os.path.join(directory, "idle.json"), os.path.join(idle, "config.json"))
    for name in ("upper", "work", "merged"):
        os.makedirs(os.path.join(directory, "bare", name))
    names = {"jigsaw-oci": os.path.join(build, "bin/jigsaw-oci"), "crun": shutil.which("crun"), "runc": shutil.which("runc")}
    runtimes = {name: of_runtime(program, directory, idle) for name, program in names.items() if program}
    image = [os.path.join(build, "bin/jigsaw"), "--root", os.path.join(directory, "images"), "--run-root", os.path.join(directory, "live"),
             "run", "--rm", "--network", "none", "jigsaw/base", "true"]
    bare = [os.path.join(build, "tests/bare_container"), os.path.join(directory, "rootfs"), os.path.join(directory, "bare"), "/bin/true"]
    try:
        measure_and_show(bare, image, runtimes)
    finally:
        for each in runtimes.values():
            each["end"]()


def measure_and_show(bare, image, runtimes):
    runs = by_turns({"bare": lambda: measure(bare), "jigsaw": lambda: measure(image), **{name: each["run"] for name, each in runtimes.items()}}, 100)
    show("bare kernel calls", "run", runs["bare"], {})
    show("jigsaw", "run of an image", runs["jigsaw"], {"bare": runs["bare"]})
    for name in runtimes:
        show(name, "run", runs[name], {other: runs[other] for other in ("bare", "crun") if other in runs and other != name})
    for what, rounds in (("create+start+delete", 20), ("exec", 100)):
        times = by_turns({name: each[what] for name, each in runtimes.items()}, rounds)
        for name in runtimes:
            show(name, what, times[name], {other: times[other] for other in ("crun",) if other in times and other != name})


def main():
    if len(sys.argv) > 2:  # in the mount namespace made for crun
        compare(sys.argv[1], sys.argv[2])
        return
    hide = "mount --make-rprivate /; mountpoint -q /sys/fs/cgroup/unified && mount -t tmpfs none /sys/fs/cgroup/unified; exec \"$@\""
    with tempfile.TemporaryDirectory(prefix="jigsaw-bench-") as directory:
        subprocess.run(["unshare", "-m", "sh", "-c", hide, "sh", sys.executable, __file__, os.path.abspath(sys.argv[1]), directory], check=True)


if __name__ == "__main__":
    main()
