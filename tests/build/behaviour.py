#!/usr/bin/env python3
"""What `jigsaw build` does beyond one image: outputs, contexts, caches that travel, pruning, and whoever disturbs it.

    tests/build/behaviour.py --jigsaw build/release/bin/jigsaw [--only part_of_a_name]
"""
import argparse, contextlib, functools, hashlib, http.server, io, json, os, random, re, shutil, signal, socket, subprocess, sys, tarfile, tempfile
import threading, time
from pathlib import Path

STEPS = "FROM jigsaw/base AS one\nRUN echo 1 > /1\nRUN echo 2 > /2\nFROM jigsaw/base\nCOPY --from=one /1 /1\nRUN echo 3 > /3\n"


class Fixture:
    def __init__(self, program, work):
        self.program, self.work = os.path.abspath(program), work

    def command(self, store="store"):
        return [self.program, "--root", str(self.work / store), "--run-root", str(self.work / "run")]

    def run(self, *words, store="store", **options):
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120, **options}
        if "input" in options:
            del settings["stdin"]
        return subprocess.run(self.command(store) + list(map(str, words)), cwd=self.work, **settings)

    def build(self, context, *words, store="store", **options):
        return self.run("build", *words, context, store=store, **options)

    def good(self, done):
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
        return done

    def context(self, dockerfile, name="context", **files):
        path = self.work / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        (path / "Dockerfile").write_text(dockerfile)
        for key, text in files.items():
            (path / key).write_text(text)
        return path

    def cached(self, done):
        found = re.search(rb"(\d+) steps, (\d+) of them from the cache", self.good(done).stderr)
        return tuple(map(int, found.groups()))

    def free_port(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]


def tar_of(directory):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.add(directory, arcname=".")
    return out.getvalue()


def outputs(f):
    c = f.context("FROM scratch\nCOPY a /d/a\nLABEL x=1\n", a="hello\n")
    f.good(f.build(c, "-o", f.work / "local"))
    assert (f.work / "local/d/a").read_text() == "hello\n"
    with tarfile.open(fileobj=io.BytesIO(f.good(f.build(c, "-o", "-")).stdout)) as tar:
        assert tar.extractfile("d/a").read() == b"hello\n"
    f.good(f.build(c, "-t", "named", "-o", f"type=oci,dest={f.work}/i.tar"))
    with tarfile.open(f.work / "i.tar") as tar:
        index = json.load(tar.extractfile("index.json"))
        assert "named" in json.dumps(index), index
    with tarfile.open(fileobj=io.BytesIO(f.good(f.build(c, "-o", "type=oci")).stdout)) as tar:
        assert "index.json" in [m.name.removeprefix("./") for m in tar]
    f.good(f.build(c, "-o", f"type=oci,dest={f.work}/layout,tar=false"))
    assert (f.work / "layout/oci-layout").exists()
    f.good(f.build(c, "-t", "named", "-o", f"type=docker,dest={f.work}/d.tar"))
    with tarfile.open(f.work / "d.tar") as tar:
        assert any("named" in name for name in json.load(tar.extractfile("manifest.json"))[0]["RepoTags"])
    f.good(f.build(f.context("FROM scratch\nCMD a b\n"), "-o", f"type=oci,dest={f.work}/cmd,tar=false"))
    texts = [path.read_text() for path in (f.work / "cmd/blobs/sha256").iterdir()]
    assert any('"ArgsEscaped":true' in text for text in texts), "docker's mark of a CMD is not in the config"
    for wrong in ("type=nosuch,dest=x", "type=local", "dest=x", "type=oci,foo=1", "type=local,dest=x,tar=false"):
        done = f.build(c, "-o", wrong)
        assert done.returncode == 125 and b"--output" in done.stderr, (wrong, done.stderr)


def contexts(f):
    c = f.context("FROM scratch\nCOPY . /c/\n", a="1", b="2")
    (c / ".dockerignore").write_text("b\n")
    wanted = {"Dockerfile", "a", ".dockerignore"}

    def check(*words, **options):
        shutil.rmtree(f.work / "out", ignore_errors=True)
        f.good(f.run("build", "-o", f.work / "out", *words, **options))
        assert set(os.listdir(f.work / "out/c")) == wanted, os.listdir(f.work / "out/c")

    check(c)
    check("-", input=tar_of(c))
    check("-f", "-", c, input=(c / "Dockerfile").read_bytes())
    (f.work / "www").mkdir()
    (f.work / "www/c.tar.gz").write_bytes(tar_of(c))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(f.work / "www")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    check(f"http://127.0.0.1:{server.server_address[1]}/c.tar.gz")
    done = f.run("build", f"http://127.0.0.1:{server.server_address[1]}/none")
    assert done.returncode != 0 and b"404" in done.stderr, done.stderr
    wanted = {"Dockerfile"}
    (f.work / "www/Dockerfile").write_text("FROM scratch\nCOPY <<Dockerfile /c/\nx\nDockerfile\n")
    check(f"http://127.0.0.1:{server.server_address[1]}/Dockerfile")
    server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def git_contexts(f):
    if not shutil.which("git") or subprocess.run(["git", "daemon", "--help"], capture_output=True).returncode not in (0, 129):
        return
    repository = f.work / "git/r.git"
    repository.mkdir(parents=True)

    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", repository, *words], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    (repository / "sub").mkdir()
    (repository / "sub/Dockerfile").write_text("FROM scratch\nCOPY x /x\n")
    (repository / "sub/x").write_text("first")
    git("add", "-A")
    git("commit", "-qm", "1")
    git("tag", "v1")
    (repository / "sub/x").write_text("second")
    git("commit", "-qam", "2")
    commit = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    port = f.free_port()
    daemon = subprocess.Popen(["git", "daemon", "--listen=127.0.0.1", f"--port={port}", f"--base-path={f.work}/git", "--export-all",
                               "--reuseaddr"], stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(100):
            if not socket.socket().connect_ex(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        url = f"git://127.0.0.1:{port}/r.git"
        for fragment, text in (("#v1:sub", "first"), ("#main:sub", "second"), ("#:sub", "second"), (f"#{commit}:sub", "second"),
                               (f"#{commit[:10]}:sub", "second"), ("?tag=v1&subdir=sub", "first"), ("?branch=main&subdir=sub", "second"),
                               (f"?ref=v1&subdir=sub&submodules=false", "first"), (f"?commit={commit}&subdir=sub", "second")):
            f.good(f.run("build", "-o", f.work / "out", url + fragment))
            assert (f.work / "out/x").read_text() == text, fragment
        c = f.context(f"FROM scratch\nADD {url}#v1 /a\nADD --keep-git-dir=true {url} /b\n")
        f.good(f.build(c, "-o", f.work / "out"))
        assert (f.work / "out/a/sub/x").read_text() == "first" and not (f.work / "out/a/.git").exists()
        assert (f.work / "out/b/.git").exists()
        c = f.context(f"FROM scratch\nADD --checksum={'0' * 40} {url} /a\n")
        done = f.build(c)
        assert done.returncode != 0 and commit.encode() in done.stderr, done.stderr
        f.good(f.build(f.context("FROM scratch\nCOPY --from=g x /x\n"), "--build-context", f"g={url}#v1:sub", "-o", f.work / "out"))
        assert (f.work / "out/x").read_text() == "first"
        for bad in ("#nosuchref", "#:../..", "#--upload-pack=x", "?nosuch=1", "?ref=a&tag=b", f"?ref=v1&commit={commit}", "?ref="):
            assert f.run("build", url + bad).returncode != 0, bad
        git("update-server-info")  # a server of plain files knows no shallow fetch
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(repository.parent)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shutil.copytree(repository / ".git", repository.parent / "plain.git")
        c = f.context(f"FROM scratch\nADD http://127.0.0.1:{server.server_address[1]}/plain.git?ref=v1&keep-git-dir=true /a\n")
        f.good(f.build(c, "-o", f.work / "out2"))
        assert (f.work / "out2/a/sub/x").read_text() == "first" and (f.work / "out2/a/.git").exists()
        server.shutdown()
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait()


def named_contexts(f):
    f.good(f.build(f.context("FROM scratch\nCOPY a /a\nENV e=1\n", a="image"), "-t", "other:1"))
    f.good(f.run("copy", "other:1", f"oci:{f.work}/l:1"))
    c = f.context("FROM x\nCOPY --from=x /a /b\n")
    f.good(f.build(f.context("FROM scratch\nCOPY a /a\n", "full", a="full"), "-t", "reg.example/b/full:v3", "-o", f"type=oci,dest={f.work}/full:x,tar=false"))
    shutil.copytree(f.work / "l", f.work / "m")
    f.good(f.run("copy", "reg.example/b/full:v3", f"oci:{f.work}/m:latest"))
    digest = json.loads((f.work / "m/index.json").read_text())["manifests"][0]["digest"]
    for place, text in (("docker-image://other:1", "image"), (f"oci-layout://{f.work}/l", "image"), (f"oci-layout://{f.work}/l:1", "image"),
                        (f"oci-layout://{f.work}/m", "full"), (f"oci-layout://{f.work}/m:latest", "full"), (f"oci-layout://{f.work}/m@{digest}", "image"),
                        (f"oci-layout://{f.work}/m:latest@{digest}", "image"), (f"oci-layout://{f.work}/full:x", "full"),
                        (f"oci-layout://{f.work}/full:x:v3", "full"), (f"oci-layout://{f.work}/full:x:reg.example/b/full:v3", "full")):
        f.good(f.build(c, "--build-context", f"x={place}", "-o", f.work / "out"))
        assert (f.work / "out/b").read_text() == text, place
    for place in (f"oci-layout://{f.work}/m:none", f"oci-layout://{f.work}/m@sha256:{'0' * 64}", f"oci-layout://{f.work}/none"):
        assert f.build(c, "--build-context", f"x={place}").returncode == 125, place


def cache_in_a_directory(f):
    c = f.context(STEPS)
    f.good(f.build(c, "--cache-to", f"type=local,dest={f.work}/min"))
    f.good(f.build(c, "--cache-to", f"type=local,dest={f.work}/max,mode=max"))
    # mode=min holds the target stage alone: the COPY of it is asked for only after the other stage was built.
    assert f.cached(f.build(c, "--cache-from", f"type=local,src={f.work}/min", store="two")) == (4, 2)
    assert f.cached(f.build(c, "--cache-from", f"type=local,src={f.work}/max", store="three")) == (4, 4)
    assert f.cached(f.build(c, store="three")) == (4, 4)
    assert f.cached(f.build(c, "--cache-from", f"type=local,src={f.work}/nosuch", store="four")) == (4, 0)
    # A blob that was tampered with is not taken.
    for blob in (f.work / "max/blobs/sha256").iterdir():
        if blob.stat().st_size > 5000 or blob.read_bytes()[:1] != b"{":
            blob.write_bytes(b"x" * blob.stat().st_size)
    done = f.build(c, "--cache-from", f"type=local,src={f.work}/max", store="five")
    assert done.returncode != 0 or f.cached(done) == (4, 0), done.stderr


@contextlib.contextmanager
def registry_of(f):
    """The address of a registry of our own, or nothing without docker-registry."""
    if not shutil.which("docker-registry"):
        yield None
        return
    port = f.free_port()
    (f.work / "registry.yml").write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {f.work}/registry}}}}\n"
                                         f"http: {{addr: 127.0.0.1:{port}}}\n")
    registry = subprocess.Popen(["docker-registry", "serve", str(f.work / "registry.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if not socket.socket().connect_ex(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        registry.terminate()
        registry.wait()


def cache_in_a_registry(f):
    with registry_of(f) as address:
        if not address:
            return
        c, ref = f.context(STEPS), f"{address}/cache:x"
        f.good(f.build(c, "--cache-to", f"type=registry,ref={ref},mode=max"))
        assert f.cached(f.build(c, "--cache-from", ref, store="two")) == (4, 4)
        assert f.cached(f.build(c, "--cache-from", f"type=registry,ref={ref}-no", store="three")) == (4, 0)


def platforms_of_one_base(f):
    layout = f.work / "multi"
    (layout / "blobs/sha256").mkdir(parents=True)
    manifests = []
    for name in ("amd64", "arm64"):
        c = f.context("FROM scratch\nCOPY arch /arch\n", arch=name)
        f.good(f.build(c, "--platform", "linux/" + name, "-o", f"type=oci,dest={f.work}/{name},tar=false"))
        shutil.copytree(f.work / name / "blobs", layout / "blobs", dirs_exist_ok=True)
        manifest = json.loads((f.work / name / "index.json").read_text())["manifests"][0]
        manifests.append({key: manifest[key] for key in ("mediaType", "digest", "size")} | {"platform": {"os": "linux", "architecture": name}})
    media = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": manifests}).encode()
    digest = hashlib.sha256(index).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(index)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": media, "digest": "sha256:" + digest,
        "size": len(index), "annotations": {"org.opencontainers.image.ref.name": "1"}}]}))

    def check(base, *words, store="store", wanted=("arm64", "amd64", "amd64")):
        c = f.context(f"FROM --platform=linux/arm64 {base} AS a\nFROM --platform=linux/amd64 {base} AS b\nFROM {base}\n"
                      "COPY --from=a /arch /a\nCOPY --from=b /arch /b\n")
        f.good(f.build(c, *words, "-o", f.work / "out", store=store))
        assert tuple((f.work / "out" / name).read_text() for name in ("a", "b", "arch")) == wanted

    check("multi:1", "--build-context", f"multi:1=oci-layout://{layout}:1")
    with registry_of(f) as address:
        if address and shutil.which("skopeo"):
            subprocess.run(["skopeo", "copy", "--all", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{address}/multi:1"],
                           check=True, capture_output=True)
            for store in ("store", "fresh"):
                check(f"{address}/multi:1", store=store)
                check(f"{address}/multi:1", "--platform", "linux/arm64", store=store, wanted=("arm64", "amd64", "arm64"))


def prune(f):
    c = f.context("FROM jigsaw/base\nRUN --mount=type=cache,target=/c ls /c > /o; echo x > /c/f\n")
    assert f.cached(f.build(c, "-t", "kept")) == (1, 0)
    assert f.cached(f.build(c)) == (1, 1)
    f.good(f.run("system", "prune"))
    assert f.cached(f.build(c)) == (1, 1)
    f.good(f.run("system", "prune", "--build"))
    assert f.cached(f.build(c, "-o", f.work / "out")) == (1, 0)
    assert (f.work / "out/o").read_text() == "", "the cache directory should be empty"


def twice_at_once(f):
    c = f.context("FROM jigsaw/base\n" + "".join(f"RUN sleep 0.1; echo {i} > /{i}\n" for i in range(5)))
    both = [subprocess.Popen(f.command() + ["build", "-q", "-t", f"t{i}", str(c)], stdout=subprocess.PIPE) for i in range(3)]
    ids = {process.communicate()[0] for process in both}
    assert all(process.returncode == 0 for process in both) and len(ids) == 1, ids


def hostile(f):
    start = time.monotonic()
    big = f.context("")
    with open(big / "Dockerfile", "w") as file:
        file.write("FROM scratch\n")
        file.truncate(100 << 20)
    done = f.build(big)
    assert done.returncode != 0 and b"Dockerfile" in done.stderr and time.monotonic() - start < 5, done.stderr[-300:]
    done = f.build(f.context("FROM scratch\nLABEL a=1 \\\n" + "\\\n" * 1_000_000 + "b=2\n"))
    assert time.monotonic() - start < 15 and done.returncode == 0, done.stderr[-300:]
    # A flood of output, and processes that stay behind.
    f.good(f.build(f.context("FROM jigsaw/base\nRUN (sleep 4321 &); (setsid sleep 4321 &); yes 0123456789abcdef | head -c 50000000; "
                             "head -c 3000000 /dev/zero\n"), stdout=subprocess.DEVNULL))
    assert not any(b"4321" in command for command in all_commands()), "a process of a RUN stayed behind"
    # A mount source that is a link out of its stage or context.
    c = f.context("FROM jigsaw/base AS s\nRUN ln -s /etc /l && ln -s ../../../../../../etc/hostname /m\nFROM jigsaw/base\n"
                  "RUN --mount=from=s,source=/l,target=/x ls /x > /o\nRUN --mount=source=ctx,target=/y ls /y > /p\n")
    (c / "ctx").symlink_to("/etc")
    done = f.build(c)
    assert done.returncode != 0 and b"ctx" in done.stderr, done.stderr
    assert f.build(f.context("FROM jigsaw/base\nRUN --mount=from=scratch,target=/x,rw touch /x/a && ls /x > /o\n")).returncode == 0
    assert f.build(f.context("FROM jigsaw/base\nRUN rm -rf /etc/passwd; mkfifo /etc/passwd\nCOPY --chown=alice a /a\n", a="")).returncode != 0


def limits(f):
    c = f.context("FROM jigsaw/base\nRUN ulimit -n > /n; grep ' /dev/shm ' /proc/mounts > /s; tail /dev/zero > /dev/null 2>&1; echo $? > /m\n"
                  "RUN sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done' 2> /p || true\n")
    f.good(f.build(c, "--memory", "20m", "--memory-swap", "20m", "--ulimit", "nofile=77", "--shm-size", "1m", "--pids-limit", "6", "--cpus", "0.9",
                   "-o", f.work / "out"))
    read = {name: (f.work / "out" / name).read_text() for name in "nsmp"}
    assert read["n"] == "77\n" and "size=1024k" in read["s"] and read["m"] == "137\n" and "fork" in read["p"], read
    assert f.cached(f.build(c)) == (2, 2), "limits are no part of the key"
    for wrong in (["--memory", "x"], ["--ulimit", "nosuch=1"], ["--shm-size", "x"], ["--pids-limit", "x"]):
        done = f.build(c, "--no-cache", *wrong)
        assert done.returncode != 0 and (wrong[0].encode() in done.stderr or b"nosuch" in done.stderr), (wrong, done.stderr)


def all_commands():
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield process.read_bytes()
        except OSError:
            pass


def full_disk(f):
    place = f.work / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], check=True)
    try:
        f.good(f.build(f.context("FROM jigsaw/base\nRUN echo fits > /a\n"), store="small"))
        done = f.build(f.context("FROM jigsaw/base\nRUN echo fits > /a\nRUN head -c 40000000 /dev/urandom > /b\n"), store="small")
        assert done.returncode != 0 and b"disk" in done.stderr, done.stderr
        assert f.cached(f.build(f.context("FROM jigsaw/base\nRUN echo fits > /a\n"), store="small")) == (1, 1)
        assert not list((place / "tmp").glob("build-*")), list((place / "tmp").iterdir())
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def killed_at_random(f, times=100):
    c = f.context("FROM jigsaw/base AS a\n" + "".join(f"RUN echo $RANDOM > /{i}\n" for i in range(8))
                  + "FROM jigsaw/base\nCOPY --from=a /1 /1\nCOPY Dockerfile /D\nRUN cat /1 /D > /2\n")
    f.good(f.build(c, "--no-cache"))
    chance = random.Random(4)
    mounts, cgroups = Path("/proc/mounts").read_text().count(str(f.work)), cgroup_count()
    for _ in range(times):
        child = subprocess.Popen(f.command() + ["build", "-q", "--no-cache", "-t", "k", str(c)], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        time.sleep(chance.random() * 0.25)
        child.kill()
        child.wait()
    f.good(f.build(c, "--no-cache", "-t", "k"))
    assert f.cached(f.build(c))[1] == 11
    f.good(f.run("system", "prune"))
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(str(f.work).encode() in command for command in all_commands()):
        time.sleep(0.05)
    assert Path("/proc/mounts").read_text().count(str(f.work)) == mounts, "mounts stayed"
    assert cgroup_count() <= cgroups, "cgroups stayed"
    assert not [path for path in (f.work / "store/tmp").iterdir()], list((f.work / "store/tmp").iterdir())
    assert f.good(f.run("run", "--rm", "k", "cat", "/D")).stdout == (c / "Dockerfile").read_bytes()


def cgroup_count():
    return sum(1 for path in Path("/sys/fs/cgroup").glob("**/*build-*") if path.is_dir())


TESTS = [outputs, contexts, git_contexts, named_contexts, cache_in_a_directory, cache_in_a_registry, platforms_of_one_base, prune, twice_at_once, limits, hostile,
         full_disk, killed_at_random]


def run_tests(tests, description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--jigsaw", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("skipped: this needs root")
        return 77
    failed = 0
    for test in [t for t in tests if options.only in t.__name__]:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="jigsaw-build-") as directory:
            try:
                test(Fixture(options.jigsaw, Path(directory)))
            except (AssertionError, subprocess.SubprocessError) as error:
                failed += 1
                print(f"FAIL {test.__name__}: line {error.__traceback__.tb_next.tb_lineno}: {str(error)[:1500]}")
                continue
        print(f"ok   {test.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_tests(TESTS, __doc__))
