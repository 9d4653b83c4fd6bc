#!/usr/bin/env python3
"""`jigsaw build` against contexts, stages and Dockerfiles that were made to harm it.

    tests/build/hostile.py --jigsaw build/release/bin/jigsaw [--only part_of_a_name]
"""
import ctypes, os, resource, shutil, socket, subprocess, sys, tarfile, threading, time, io
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from behaviour import run_tests  # noqa: E402

SECRET = "what is outside of the context\n"


def outside(f):
    place = f.work / "outside"
    (place / "sub").mkdir(parents=True, exist_ok=True)
    for name in ("file", "sub/file"):
        (place / name).write_text(SECRET)
    return place


def holds_secret(directory):
    return any(SECRET in path.read_text(errors="replace") for path in Path(directory).glob("**/*") if path.is_file() and not path.is_symlink())


def racing_links(f):
    """A directory and a file of the context change places with links that lead out, again and again, while it is read."""
    libc = ctypes.CDLL(None, use_errno=True)
    place = outside(f)
    c = f.context("")
    for name, target in (("d", place), ("e/d", place / "sub"), ("file", place / "file")):
        path = c / name
        path.parent.mkdir(exist_ok=True)
        if name == "file":
            path.write_text("inside\n")
        else:
            path.mkdir()
            (path / "file").write_text("inside\n")
            (path / "sub").mkdir()
            (path / "sub/file").write_text("inside\n")
        (c / (name + ".link")).symlink_to(target)
    (c / ".dockerignore").write_text("**/*.link\nDockerfile\n")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for name in ("d", "e/d", "file"):
                libc.renameat2(-100, str(c / name).encode(), -100, str(c / (name + ".link")).encode(), 2)

    swapper = threading.Thread(target=swap)
    swapper.start()
    done = {True: 0, False: 0}
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for text in ("FROM scratch\nCOPY . /c/\n", "FROM scratch\nCOPY d/ /c/d/\nCOPY e/d/file file /c/\n", "FROM scratch\nADD d/sub /c/\nCOPY --parents e/*/file /c/\n",
                         "FROM jigsaw/base\nRUN --mount=source=.,target=/m mkdir /c && cp -r /m/. /c/\n",
                         "FROM scratch\nCOPY --from=named . /c/\n"):
                (c / "Dockerfile").write_text(text)
                shutil.rmtree(f.work / "out", ignore_errors=True)
                built = f.build(c, "--no-cache", "--build-context", f"named={c}/d", "-o", f.work / "out")
                done[built.returncode == 0] += 1
                if "named" not in text:  # that one is the directory that the user named, link or not
                    assert not (f.work / "out").exists() or not holds_secret(f.work / "out"), f"the race was lost: {text}"
    finally:
        stop.set()
        swapper.join()
    assert done[True] > 0 and sum(done.values()) > 10, done


def links_out_of_stages(f):
    """Links of another stage, an archive or a base image mean that image's own files, and never lead to the host."""
    place = outside(f)
    up = "../" * 20 + str(place).lstrip("/")
    c = f.context(f"FROM jigsaw/base AS s\nRUN ln -s {place} /abs && ln -s {up} /rel && mkdir /d && ln -s {place}/file /d/f && ln -s / /rootlink\n"
                  "FROM jigsaw/base\nCOPY --from=s /d /d\nRUN --mount=from=s,target=/s ls /s/abs/ > /o 2>&1; cat /s/rel/file >> /o 2>&1; true\n")
    f.good(f.build(c, "-o", f.work / "out"))
    assert "No such file" in (f.work / "out/o").read_text() and os.path.islink(f.work / "out/d/f") and not holds_secret(f.work / "out/d")
    for line in ("COPY --from=s /abs/file /x", "COPY --from=s /rel/file /x", "COPY --from=s /abs/* /x/", "COPY --from=s /d/f /x",
                 "RUN --mount=from=s,source=/abs,target=/x true", "RUN --mount=from=s,source=/rel/sub,target=/x true",
                 "RUN --mount=type=cache,from=s,source=/abs,target=/x true", "COPY --from=s --parents /rel/./file /x/"):
        done = f.build(f.context((c / "Dockerfile").read_text().split("FROM jigsaw/base\n")[0] + "FROM jigsaw/base\n" + line + "\n", "one"), "-o", f.work / "out1")
        assert done.returncode != 0 or not holds_secret(f.work / "out1"), line
    # What a RUN mounts over, and a mount's place through a link of the image: in the container, not on the host.
    before = sorted(os.listdir(place))
    c = f.context(f"FROM jigsaw/base\nRUN ln -s {place} /l && ln -s {up} /m\nRUN --mount=type=cache,target=/l/new touch /l/new/x; ls -d /l/new\n"
                  "RUN --mount=type=tmpfs,target=/m/deep/er touch /m/deep/er/x\nRUN --mount=type=secret,id=s,target=/l/secret cat /l/secret > /got\n"
                  "WORKDIR /l/work\nRUN touch here\nCOPY Dockerfile /m/copied\nADD Dockerfile /l/added/\n")
    (f.work / "s").write_text("x")
    f.good(f.build(c, "--secret", f"id=s,src={f.work}/s"))
    assert sorted(os.listdir(place)) == before and (place / "sub/file").read_text() == SECRET


def mounts_that_escape(f):
    """CVE-2024-9407, CVE-2024-9675, CVE-2024-1753, CVE-2024-23651, CVE-2024-23652, CVE-2024-11218 and their kin."""
    place = outside(f)
    f.good(f.build(f.context("FROM jigsaw/base\nRUN --mount=type=cache,id=../../../outside,target=/c echo x > /c/made\n"
                             "RUN --mount=type=cache,id=/,target=/c2 echo x > /c2/made\n")))
    assert not (place / "made").exists() and not Path("/made").exists()
    c = f.context("FROM jigsaw/base\n")
    (c / "d").mkdir()
    (c / "d/link").symlink_to(place)
    (c / "link").symlink_to(place)
    for mount in ("type=bind,source=link", "type=bind,source=d/link", "type=bind,source=../outside", "type=bind,source=/../outside", "type=cache,from=.,source=link",
                  "type=bind,source=link,rw", "type=bind,source=/proc/self/root"):
        (c / "Dockerfile").write_text(f"FROM jigsaw/base\nRUN --mount={mount},target=/x cp -r /x/. /y; touch /x/made\n")
        done = f.build(c, "--no-cache", "-o", f.work / "out")
        assert done.returncode != 0 or not holds_secret(f.work / "out/y"), (mount, done.stderr)
        assert not (place / "made").exists(), mount
        shutil.rmtree(f.work / "out", ignore_errors=True)
    for flags in ("--mount=type=bind,from=s,source=/,target=/", "--mount=type=bind,target=/../", "--mount=type=bind,bind-propagation=shared,target=/x",
                  "--mount=type=bind,source=.,target=/x,bind-propagation=rshared", "--mount=type=tmpfs,target=.", "--security=insecure", "--device=vendor.com/x=y"):
        done = f.build(f.context(f"FROM jigsaw/base AS s\nFROM jigsaw/base\nRUN {flags} true\n", "one"))
        assert done.returncode != 0 and done.stderr.count(b"error:") == 1, (flags, done.stderr)
    # What was made as a place for a mount goes again, but nothing behind a link that a RUN puts there meanwhile.
    f.good(f.build(f.context(f"FROM jigsaw/base\nRUN --mount=type=tmpfs,target=/a/b/c true\nRUN --mount=type=tmpfs,target=/q/w rm -rf /q 2>/dev/null; mv /q /q2; "
                             f"mkdir /e; ln -s {place} /q; true\nRUN test ! -e /a\n")))
    assert (place / "sub/file").exists()
    # Two RUNs that share a cache mount, one of which changes what is in it for links (CVE-2024-23651).
    c = f.context(f"FROM jigsaw/base AS a\nRUN --mount=type=cache,target=/c rm -rf /c/sub; ln -s {place} /c/sub\n"
                  "FROM jigsaw/base AS b\nCOPY --from=a /etc/passwd /p\nRUN --mount=type=cache,target=/c --mount=type=cache,source=sub,target=/s ls /s > /o\n")
    done = f.build(c, "--no-cache", "-o", f.work / "out")
    assert done.returncode != 0 or "file" not in (f.work / "out/o").read_text(), done.stderr


def accounts_that_block(f):
    """/etc/passwd and /etc/group as FIFO, device, socket, link out, directory or giant (CVE-2024-9676)."""
    for make in ("mkfifo $f", "mknod $f c 1 5", "ln -s /proc/kmsg $f", "mkdir $f", "ln -s $f $f", "head -c 30000000 /dev/zero > $f"):
        for name, lines in (("passwd", ("COPY --chown=alice a /a", "USER alice\nRUN id", "RUN --mount=type=cache,uid=5,target=/c true\nCOPY --chown=alice a /a")),
                            ("group", ("COPY --chown=0:staff a /a",))):
            for line in lines:
                c = f.context(f"FROM jigsaw/base\nRUN f=/etc/{name}; rm $f; {make}\n{line}\n", a="")
                start = time.monotonic()
                done = f.build(c, timeout=30)
                assert done.returncode != 0 and time.monotonic() - start < 15, (make, line, done.stderr[-300:])


def archives_that_escape(f):
    """ADD of an archive and a context that is one: names and links that lead out, devices, a bomb of names."""
    place = outside(f)

    def member(name, kind=tarfile.REGTYPE, target="", text=b"evil\n"):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = kind, target, 0o644
        info.size = len(text) if kind == tarfile.REGTYPE else 0
        return info, io.BytesIO(text) if kind == tarfile.REGTYPE else None

    evil = [[member("../../../../../../../.." + str(place) + "/new")], [member(str(place) + "/new")],
            [member("l", tarfile.SYMTYPE, str(place)), member("l/new")], [member("l", tarfile.SYMTYPE, "../" * 20 + str(place)[1:]), member("l/new")],
            [member("h", tarfile.LNKTYPE, str(place) + "/file"), member("h")], [member("h", tarfile.LNKTYPE, "../" * 20 + str(place)[1:] + "/file"), member("h")],
            [member("a/../../../../../../../../../.." + str(place) + "/new")]]
    for number, members in enumerate(evil):
        c = f.context("FROM jigsaw/base\nADD t.tar /x/\n")
        with tarfile.open(c / "t.tar", "w") as tar:
            for info, data in members:
                tar.addfile(info, data)
        f.build(c, "-o", f.work / "out")
        with tarfile.open(f.work / "context.tar", "w") as tar:
            for info, data in [*members, member("Dockerfile", text=b"FROM scratch\nCOPY . /\n")]:
                if data:
                    data.seek(0)
                tar.addfile(info, data)
        f.run("build", "-", input=(f.work / "context.tar").read_bytes())
        assert not (place / "new").exists() and (place / "file").read_text() == SECRET, number


def repositories_that_escape(f):
    """CVE-2026-33748: the directory of a git address is a link of the repository that leads out of it, or has such a parent."""
    place = outside(f)
    repository = f.work / "r.git"
    (repository / "real").mkdir(parents=True)
    (repository / "real/file").write_text("inside\n")
    (repository / "real/Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (place / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    for name, target in (("abs", place), ("rel", "../" * 20 + str(place)[1:]), ("own", ".git"), ("up", ".."), ("real/back", "../..")):
        (repository / name).symlink_to(target)
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "1"]):
        subprocess.run(["git", "-C", repository, *words], check=True, capture_output=True)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    daemon = subprocess.Popen(["git", "daemon", "--listen=127.0.0.1", f"--port={port}", f"--base-path={f.work}", "--export-all", "--reuseaddr"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(100):
            if not socket.socket().connect_ex(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        url = f"git://127.0.0.1:{port}/r.git"
        f.good(f.run("build", "-o", f.work / "out", f"{url}#main:real"))
        assert (f.work / "out/file").read_text() == "inside\n"
        for directory in ("abs", "abs/sub", "rel", "own", "up", "real/back", "real/../../outside", "real/back/outside"):
            for words in ([f"{url}#main:{directory}"], ["-f", "-", "--build-context", f"g={url}#main:{directory}", "."],
                          [f"{url}?branch=main&subdir={directory}"], ["-f", "-", "."]):
                text = "FROM scratch\nCOPY --from=g . /\n" if "--build-context" in words else f"FROM scratch\nADD {url}#main:{directory} /\n"
                done = f.run("build", "-o", f.work / "out1", *words, input=text.encode())
                assert not (f.work / "out1").exists() or not holds_secret(f.work / "out1"), (words, text)
                shutil.rmtree(f.work / "out1", ignore_errors=True)
                assert done.returncode != 0 or directory in ("up", "own", "real/back"), (words, text)
    finally:
        os.killpg(daemon.pid, 15)
        daemon.wait()


def giants(f):
    """Everything that can be written large takes a time that grows with it, and memory within bounds."""
    n = 100_000
    files = {"many patterns": "FROM scratch\nCOPY . /\n", "variables in each other": "FROM scratch\nENV A=" + "${x:-" * n + "y" + "}" * n + "\n",
             "doubling": "".join(f"ARG a{i}=$a{i - 1}$a{i - 1}\n" for i in range(60)) + "FROM scratch\n",
             "removals": f"FROM scratch\nENV A={'a' * n}\nENV B=${{A//a*a*a*a*a*b/x}} C=${{A##*a*a*a*a*b}} D=${{A%%*a*a*a*a*a*b}}\n",
             "globs": "FROM scratch\nCOPY " + "*a" * 200 + "*b " + "*a*a*a*a*b " * 500 + "Dockerfile /\n",
             "ports": "FROM scratch\nEXPOSE 1-65535\n", "variables": "FROM scratch\n" + "".join(f"ENV A{i}=1\n" for i in range(20000)),
             "unknown variables": "FROM scratch\n" + "".join(f"ENV A{i}=$B{i}\n" for i in range(5000)),
             "instructions": "FROM scratch\n" + "ARG x=1\n" * 300_000, "comments": "FROM scratch\nLABEL a=1 \\\n" + "#c\n" * 1_000_000 + "b=2\n",
             "empty lines": "FROM scratch\nLABEL a=1 \\\n" + "\n" * 1_000_000 + "b=2\n", "here-documents": "FROM scratch\n" + "COPY <<E /a\n" * 5000,
             "quotes": "FROM scratch\nENV A=" + '""' * 1_000_000 + "\n", "brackets": "FROM scratch\nCMD " + "[" * n + "\n",
             "stages": "FROM scratch AS s0\n" + "".join(f"FROM s{i} AS s{i + 1}\n" for i in range(1990)), "too large": "FROM scratch\n" + "# x\n" * 5_000_000,
             "a long instruction": "FROM jigsaw/base\nRUN true " + "x" * 100_000 + "\n"}
    for name, text in files.items():
        c = f.context(text)
        (c / ("a" * 250)).write_text("")
        if name == "many patterns":
            (c / ".dockerignore").write_text("".join(f"*{i}*a*b*c\n**/x{i}/*.log\n!keep{i}\n" for i in range(3333)))
            for i in range(300):
                (c / f"file-{i}-aaaaaaaaaaaaaaaa").write_text("")
        for _ in range(2 if name == "a long instruction" else 1):  # the second time from the cache
            done = f.build(c, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)), timeout=60)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert done.returncode in (0, 125), (name, done.returncode, done.stderr[-300:])
            assert b"bad_alloc" not in done.stderr and len(done.stderr) < 3_000_000, (name, done.stderr[:300])
        spent = used.ru_utime + used.ru_stime
        print(f"     {name}: {spent:.1f} s in all", flush=True) if os.environ.get("VERBOSE") else None


if __name__ == "__main__":
    sys.exit(run_tests([racing_links, links_out_of_stages, mounts_that_escape, accounts_that_block, archives_that_escape, repositories_that_escape, giants], __doc__))
