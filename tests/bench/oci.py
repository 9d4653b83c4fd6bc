#!/usr/bin/env python3
"""Prints what containers cost with jigsaw, jigsaw-oci, crun and runc, as ratios to crun and to the bare kernel calls.

    sudo tests/bench/oci.py build/release        (about a minute; wants a quiet machine)

Median wall and CPU time of a busybox bundle running `true`, and of `jigsaw run` on jigsaw/base. On a machine with cgroup v1 and v2 together crun refuses to
work, so it gets a mount namespace in which the v2 tree is hidden.
"""
import json, os, shutil, statistics, subprocess, sys, tempfile, time

ROUNDS = 30


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


def median(action, rounds=ROUNDS):
    action()  # warm
    return [statistics.median(column) for column in zip(*(action() for _ in range(rounds)))]


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
    for name, args in (("config.json", ["true"]), ("idle.json", ["sleep", "600"])):
        config["process"]["args"] = args
        json.dump(config, open(os.path.join(directory, name), "w"))


def of_runtime(words, directory):
    base = words + ["--root", os.path.join(directory, "state")]

    def life():
        steps = [measure(base + ["create", "--bundle", directory, "bench-b"]), measure(base + ["start", "bench-b"])]
        time.sleep(0.01)
        steps.append(measure(base + ["delete", "--force", "bench-b"]))
        return [sum(column) for column in zip(*steps)]

    result = {"run": median(lambda: measure(base + ["run", "--bundle", directory, "bench-b"])), "create+start+delete": median(life, 15)}
    shutil.move(os.path.join(directory, "config.json"), os.path.join(directory, "true.json"))
    shutil.copy(os.path.join(directory, "idle.json"), os.path.join(directory, "config.json"))
    measure(base + ["create", "--bundle", directory, "bench-e"])
    measure(base + ["start", "bench-e"])
    result["exec"] = median(lambda: measure(base + ["exec", "bench-e", "true"]))
    measure(base + ["delete", "--force", "bench-e"])
    shutil.move(os.path.join(directory, "true.json"), os.path.join(directory, "config.json"))
    return result


def main():
    build = os.path.abspath(sys.argv[1])
    hide = "mount --make-rprivate /; mountpoint -q /sys/fs/cgroup/unified && mount -t tmpfs none /sys/fs/cgroup/unified; exec \"$@\""
    if len(sys.argv) > 2:  # in the mount namespace made for crun
        print(json.dumps(of_runtime([sys.argv[3]], sys.argv[2])))
        return
    with tempfile.TemporaryDirectory(prefix="jigsaw-bench-") as directory:
        make_bundle(directory, build)
        figures = {"jigsaw-oci": of_runtime([os.path.join(build, "bin/jigsaw-oci")], directory)}
        for name in ("crun", "runc"):
            if shutil.which(name):
                inner = ["unshare", "-m", "sh", "-c", hide, "sh", sys.executable, __file__, build, directory, shutil.which(name)]
                figures[name] = json.loads(subprocess.run(inner, check=True, stdout=subprocess.PIPE, timeout=300).stdout)
        for name in ("upper", "work", "merged"):
            os.makedirs(os.path.join(directory, "bare", name))
        bare = median(lambda: measure([os.path.join(build, "tests/bare_container"), os.path.join(directory, "rootfs"),
                                       os.path.join(directory, "bare"), "/bin/true"]))
        print(f"{'bare kernel calls':20} run                  {bare[0]:8.2f} ms wall {bare[1]:8.2f} ms CPU")
        image = [os.path.join(build, "bin/jigsaw"), "--root", os.path.join(directory, "images"), "--run-root", os.path.join(directory, "live"),
                 "run", "--rm", "--network", "none", "jigsaw/base", "true"]
        wall, cpu = median(lambda: measure(image))
        print(f"{'jigsaw':20} run of an image      {wall:8.2f} ms wall {cpu:8.2f} ms CPU   {wall / bare[0]:.2f} / {cpu / max(bare[1], 0.01):.2f} of bare")
        for name, rows in figures.items():
            for what, (wall, cpu) in rows.items():
                line = f"{name:20} {what:20} {wall:8.2f} ms wall {cpu:8.2f} ms CPU"
                if what == "run":
                    line += f"   {wall / bare[0]:.2f} / {cpu / max(bare[1], 0.01):.2f} of bare"
                if name != "crun" and "crun" in figures:
                    other = figures["crun"][what]
                    line += f"   {wall / other[0]:.2f} / {cpu / max(other[1], 0.01):.2f} of crun"
                print(line)


if __name__ == "__main__":
    main()
