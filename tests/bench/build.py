#!/usr/bin/env python3
"""Prints what builds cost with jigsaw, and side by side with buildah and BuildKit as far as they are installed.

    sudo tests/bench/build.py build/release [--files 20000] [--rounds 3]      (some minutes; wants a quiet machine)

30 RUN steps and a COPY of many files, without a cache, with all of it, and with one file more. Wall times of the whole
command, the best of some rounds; BuildKit is a buildkitd of our own with buildctl in PATH, without an export to a file.
"""
import argparse, os, resource, shutil, subprocess, sys, tempfile, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "build"))
import conformance


def timed(command):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{command}: exit code {done.returncode}: {done.stderr[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(work, program):
    """name -> (the command of a build with and without cache, what to do at the end)"""
    def peer(name):
        place = work / name
        place.mkdir()
        return place

    jigsaw = conformance.Jigsaw(program, peer("jigsaw"))
    jigsaw.build_base(conformance.make_base(work / "jigsaw"))
    found = {"jigsaw": (lambda context, cache: jigsaw.command + ["build", "-q", "-t", "bench"]
                        + ["--no-cache"] * (not cache) + [str(context)], jigsaw.close)}
    if all(map(shutil.which, conformance.PEERS["buildkit"])):
        kit = conformance.BuildKit(peer("buildkit"))
        kit.build_base(conformance.make_base(work / "buildkit"))
        place, digest = kit.layouts["base"]

        def buildkit(context, cache):
            return (["buildctl", "--addr", kit.address, "build", "--frontend", "dockerfile.v0", "--local", f"context={context}",
                     "--local", f"dockerfile={context}", "--oci-layout", f"base={place}", "--opt",
                     f"context:base=oci-layout://base@{digest}", "--output", "type=image,name=localhost/bench"]
                    + ["--no-cache"] * (not cache))
        found["BuildKit"] = (buildkit, kit.close)
    if shutil.which("buildah"):
        buildah = conformance.Buildah(peer("buildah"))
        buildah.command[-1] = "overlay"
        buildah.build_base(conformance.make_base(work / "buildah"))
        found["buildah"] = (lambda context, cache: buildah.command + ["bud", "--layers", "--isolation", "chroot", "--pull=false", "-q",
                            "-t", "bench", "-f", str(context / "Dockerfile")] + ["--no-cache"] * (not cache) + [str(context)],
                            buildah.close)
    return found


def contexts(work, count):
    steps, files = work / "steps", work / "files"
    steps.mkdir()
    (steps / "Dockerfile").write_text("FROM base\n" + "".join(f"RUN echo {i}\n" for i in range(30)))
    for i in range(count):
        directory = files / "tree" / f"d{i % 100}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{i}").write_text(f"file {i}\n" * 20)
    (files / "Dockerfile").write_text("FROM base\nCOPY tree /tree\n")
    return steps, files


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", help="the build directory")
    parser.add_argument("--files", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("busybox"):
        print("skipped: this needs root and busybox")
        return 77
    results = {}
    with tempfile.TemporaryDirectory(prefix="jigsaw-bench-") as directory:
        work = Path(directory)
        found = commands(work, os.path.join(options.build, "bin/jigsaw"))
        steps, files = contexts(work, options.files)

        def row(title, prepare, context, cache):
            for _ in range(options.rounds):
                prepare()
                for name, (command, _) in found.items():
                    results.setdefault(title, {}).setdefault(name, []).append(timed(command(context, cache)))

        added = iter(range(1000))
        try:
            row("30 RUN, no cache", lambda: None, steps, False)
            row("30 RUN, all cached", lambda: None, steps, True)
            row(f"COPY {options.files} files, no cache", lambda: None, files, False)
            row("nothing changed", lambda: None, files, True)
            row("one file added", lambda: (files / "tree" / f"new{next(added)}").write_text("new\n"), files, True)
        finally:
            for _, close in found.values():
                close()
    print(f"load {os.getloadavg()[0]:.1f}; best of {options.rounds}: wall (for jigsaw also CPU) in seconds, and jigsaw's part of BuildKit's wall")
    for title, row in results.items():
        best = {name: min(times) for name, times in row.items()}
        ratio = f"{best['jigsaw'][0] / best['BuildKit'][0]:6.2f}" if "BuildKit" in best else ""
        print(f"{title:28}" + "".join(f"  {name} {wall:7.3f}" + (f" ({cpu:.3f})" if name == "jigsaw" else "")
                                      for name, (wall, cpu) in best.items()) + ratio)
    return 0


if __name__ == "__main__":
    sys.exit(main())
