#!/usr/bin/env python3
"""Builds every case of the corpus and compares what comes out; README.md says how cases are written."""
import argparse, concurrent.futures, contextlib, functools, gzip, hashlib, http.server, io, json, os, queue, re, shlex, shutil
import socket, subprocess, sys, tarfile, tempfile, threading, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "expected.json"
PEERS = {"buildah": ("buildah",), "buildkit": ("buildkitd", "buildctl", "runc")}
SOURCES = {"buildah": "buildah 1.28.2", "buildkit": "BuildKit 0.26.3", None: "reviewed"}
UNIQUE = ("/id",)  # paths whose content is new in every build that is not cached


# --- cases --------------------------------------------------------------------------------------------------------

class Case:
    def __init__(self, name):
        self.name, self.steps, self.fails, self.peers = name, [], None, {}


def body_text(lines):
    text = "".join(line + "\n" for line in lines)
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr((0xdc00 if m[1] > "7f" else 0) + int(m[1], 16)), text.replace("\\r\n", "\r\n")) \
        .encode("utf-8", "surrogateescape")


def read_cases(directory):
    cases = []
    for path in sorted(directory.glob("*.txt")):
        lines = path.read_text().split("\n")[:-1]
        at = 0
        while at < len(lines):
            line = lines[at]
            at += 1
            if line.startswith("=== "):
                cases.append(Case(line[4:].strip()))
                continue
            assert line.startswith(">>> "), f"{path}:{at}: {line}"
            word, _, rest = line[4:].partition(" ")
            start = at
            while at < len(lines) and not lines[at].startswith((">>> ", "=== ")):
                at += 1
            case, body = cases[-1], body_text(lines[start:at])
            if word == "fails":
                case.fails = rest
            elif word == "peer":
                case.peers["buildah"] = rest
            elif word == "buildkit":
                case.peers["buildkit"] = rest
            elif word == "Dockerfile":
                case.steps += [("file", "Dockerfile", body), ("build", None, None)]
            else:
                case.steps.append((word, rest, body))
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), "two cases have the same name"
    return cases


def write_tar(path, members):
    kind = path.name.rsplit(".", 1)[-1]
    file = gzip.GzipFile(path, "wb", mtime=0) if kind == "gz" else None
    with tarfile.open(path, {"bz2": "w:bz2", "xz": "w:xz"}.get(kind, "w"), fileobj=file) as tar:
        for member in members:
            name, _, content = member.partition("=")
            name, _, target = name.partition("->")
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), 0o644, 1
            if target:
                info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info, io.BytesIO(content.encode()))
    if file:
        file.close()


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(directory):
    """An HTTP server for what a case serves; @HTTP@ in a Dockerfile becomes its address."""
    directory.mkdir(exist_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietFiles, directory=str(directory)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def apply_step(context, kind, rest, body):
    if kind.startswith("serve"):  # serve, serve-tar: the same for the HTTP server
        context, kind = context.parent / "served", kind[6:] or "file"
    path = context / (rest.split()[0] if kind != "file" or rest.split()[-1].isdigit() else rest)
    mode = None
    if kind in ("file", "dir"):
        words = rest.rsplit(" ", 1)
        if len(words) == 2 and re.fullmatch("0?[0-7]{3,4}", words[1]):
            path, mode = context / words[0], int(words[1], 8)
        else:
            path = context / rest
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        path.write_bytes(body)
        path.chmod(mode if mode is not None else 0o644)
    elif kind == "dir":
        path.mkdir(exist_ok=True)
        path.chmod(mode if mode is not None else 0o755)
    elif kind == "owner":
        os.chown(path, int(rest.split()[1]), int(rest.split()[1]))
    elif kind == "time":
        os.utime(path, (int(rest.split()[1]),) * 2)
    elif kind == "gone":
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif kind == "xattr":
        os.setxattr(path, rest.split()[1], rest.split()[2].encode())
    elif kind == "capability":  # cap_net_bind_service=ep
        os.setxattr(path, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    elif kind == "fifo":
        os.mkfifo(path, 0o640)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "link":
        path.symlink_to(rest.split()[1])
    elif kind == "tar":
        write_tar(path, rest.split()[1:])


# --- images -------------------------------------------------------------------------------------------------------

def blob(layout, digest):
    return (layout / "blobs" / digest.replace(":", "/", 1)).read_bytes()


def flatten(layers):
    """Layers (as tar bytes, the lowest first) as a dict of path -> description."""
    tree, links = {"/": "d 0755 0:0"}, {}
    for data in layers:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                path = os.path.normpath("/" + member.name)
                parent, name = os.path.split(path)
                if name == ".wh..wh..opq":
                    for old in [p for p in tree if p.startswith(parent.rstrip("/") + "/") and p != "/"]:
                        del tree[old]
                elif name.startswith(".wh."):
                    gone = os.path.join(parent, name[4:])
                    for old in [p for p in tree if p == gone or p.startswith(gone + "/")]:
                        del tree[old]
                else:
                    if not member.isdir():
                        for old in [p for p in tree if p.startswith(path + "/")]:
                            del tree[old]
                    tree[path] = describe(tar, member, tree)
                    if member.islnk():
                        links.setdefault(tree[path], []).append(path)
    for path in [p for p in tree if p != "/"]:
        parent = os.path.dirname(path)
        while parent not in tree:
            tree[parent] = "d 0755 0:0"
            parent = os.path.dirname(parent)
    return tree


def describe(tar, member, tree):
    owner = f"{member.uid}:{member.gid}"
    xattrs = sorted((k[13:], v) for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr."))
    extra = "".join(f" {k}={v!r}" for k, v in xattrs)
    mode = f"{member.mode & 0o7777:04o}"
    if member.isdir():
        return f"d {mode} {owner}{extra}"
    if member.issym():
        return f"l {owner} -> {member.linkname}"
    if member.islnk():
        return tree.get("/" + os.path.normpath(member.linkname).lstrip("/"), "missing link")
    if member.isfifo():
        return f"p {mode} {owner}"
    if not member.isfile():
        return f"{member.type!r} {mode} {owner} {member.devmajor},{member.devminor}"
    content = tar.extractfile(member).read()
    shown = repr(content.decode()) if len(content) < 200 and is_plain(content) else hashlib.sha256(content).hexdigest()[:16]
    return f"f {mode} {owner} {len(content)} {shown}{extra}"


def is_plain(content):
    try:
        return content.decode().isprintable() or all(c.isprintable() or c in "\n\t\r" for c in content.decode())
    except UnicodeDecodeError:
        return False


def decompress(data):
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    return data


DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def read_image(layout, manifest):
    config = json.loads(blob(layout, manifest["config"]["digest"]))
    inner = config.get("config") or {}
    layers = [decompress(blob(layout, layer["digest"])) for layer in manifest["layers"] or []]
    kept = {}
    for key in ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal",
                "Healthcheck", "OnBuild", "Shell"):
        value = inner.get(key)
        if key == "Env":
            value = [entry for entry in value or [] if entry != DEFAULT_PATH]
        if key == "Labels":
            value = {k: v for k, v in (value or {}).items() if not k.startswith("io.buildah.")}
        if key == "WorkingDir" and value == "/":
            value = None
        if value:
            kept[key] = value
    if config.get("architecture") != "amd64" or config.get("variant"):
        kept["platform"] = "/".join(config[key] for key in ("os", "architecture", "variant") if config.get(key))
    if config.get("author"):
        kept["author"] = config["author"]
    return {"tree": flatten(layers), "config": kept}


def manifest_of(layout, name=None):
    index = json.loads((layout / "index.json").read_text())
    found = [d for d in index["manifests"]
             if name is None or re.search(rf"\b{re.escape(name)}(:latest)?\"", json.dumps(d.get("annotations", {})))]
    assert found, f"no image {name} in {layout}"
    manifest = json.loads(blob(layout, found[-1]["digest"]))
    while "manifests" in manifest:
        manifest = json.loads(blob(layout, manifest["manifests"][0]["digest"]))
    return manifest


# --- builders -----------------------------------------------------------------------------------------------------

class Jigsaw:
    def __init__(self, program, work):
        self.served = serve(work / "served")
        self.root = work / "store"  # the store is an OCI layout itself
        self.command = [os.path.abspath(program), "--root", str(self.root), "--run-root", str(work / "run")]

    def build(self, context, name, arguments):
        done = run(self.command + ["build", "-t", name] + arguments + [str(context)], context)
        return done, read_image(self.root, manifest_of(self.root, name)) if done.returncode == 0 else None

    def build_base(self, context):
        done = run(self.command + ["build", "-t", "base", str(context)], context)
        assert done.returncode == 0, done.stderr

    def close(self):
        pass


class Buildah:
    def __init__(self, work):
        self.served = serve(work / "served")
        self.layout = work / "out"
        self.command = ["buildah", "--root", str(work / "store"), "--runroot", str(work / "run"), "--storage-driver", "vfs"]

    def build(self, context, name, arguments):
        if not any(a in ("-f", "--file") for a in arguments):
            arguments = ["-f", str(context / "Dockerfile")] + arguments
        else:
            arguments = [str(context / a) if i and arguments[i - 1] == "-f" else a for i, a in enumerate(arguments)]
        done = run(self.command + ["bud", "--layers", "--isolation", "chroot", "--pull=false", "-q", "-t", name]
                   + arguments + [str(context)], context)
        if done.returncode != 0:
            return done, None
        shutil.rmtree(self.layout, ignore_errors=True)
        pushed = run(self.command + ["push", "-q", "--disable-compression", name, f"oci:{self.layout}:x"], context)
        assert pushed.returncode == 0, pushed.stderr
        return done, read_image(self.layout, manifest_of(self.layout))

    def build_base(self, context):
        done, _ = self.build(context, "base", [])
        assert done.returncode == 0, done.stderr

    def close(self):
        run(self.command + ["rm", "-a"], None)
        run(self.command + ["rmi", "-a", "-f"], None)


class BuildKit:
    """A buildkitd of our own, with directories and a socket of its own; every build is exported as an OCI layout."""

    def __init__(self, work):
        self.work, self.layouts, self.last = work, {}, None
        self.served = serve(work / "served")
        self.address = f"unix://{work}/buildkit.sock"
        log = open(work / "buildkitd.log", "w")
        self.daemon = subprocess.Popen(
            ["buildkitd", "--root", str(work / "buildkit"), "--addr", self.address, "--containerd-worker=false",
             "--oci-worker-snapshotter=overlayfs", "--oci-worker-net=host"], stdout=log, stderr=log)
        for _ in range(100):
            if run(["buildctl", "--addr", self.address, "debug", "workers"], None).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("buildkitd does not start: " + (work / "buildkitd.log").read_text()[-2000:])

    def build(self, context, name, arguments):
        # What another case left in the cache must not answer for this one. "cmdline" keeps it from fetching the frontend
        # that a "# syntax=" line names: the built-in one has to do.
        words = ["--opt", "cmdline=built-in"] + ["--no-cache"] * (name != self.last)
        locals_, file, layout = {"context": context, "dockerfile": context}, None, self.work / ("oci-" + name)
        pairs = list(zip(arguments[::2], arguments[1::2])) if "--no-cache" not in arguments else [("--no-cache", "")]
        for option, value in pairs:
            key, _, rest = value.partition("=")
            if option == "-f":
                locals_["dockerfile"] = (context / value).parent
                file = Path(value).name
            elif option in ("--build-arg", "--label"):
                words += ["--opt", option[2:].replace("build-arg", "build-arg:").replace("label", "label:") + value]
            elif option == "--target":
                words += ["--opt", "target=" + value]
            elif option == "--platform":
                words += ["--opt", "platform=" + value]
            elif option == "--no-cache":
                words += ["--no-cache"]
            elif option == "--secret":
                words += ["--secret", value]
            elif option == "--build-context" and not rest.startswith("docker-image"):
                locals_[key] = context / rest
                words += ["--opt", f"context:{key}=local:{key}"]
            elif option == "--build-context":
                words += ["--opt", f"context:{key}={rest}"]
            else:
                raise RuntimeError("buildkit is not told of " + option)
        for key, place in locals_.items():
            words += ["--local", f"{key}={place}"]
        for known, (place, digest) in self.layouts.items():
            words += ["--oci-layout", f"{known}={place}", "--opt", f"context:{known}=oci-layout://{known}@{digest}"]
        self.last = name
        shutil.rmtree(layout, ignore_errors=True)
        done = run(["buildctl", "--addr", self.address, "build", "--progress", "plain", "--frontend", "dockerfile.v0"] + words
                   + (["--opt", "filename=" + file] if file else [])
                   + ["--output", f"type=oci,dest={layout},tar=false,compression=uncompressed"], context)
        return done, read_image(layout, manifest_of(layout)) if done.returncode == 0 else None

    def build_base(self, context):
        done, _ = self.build(context, "base", [])
        assert done.returncode == 0, done.stderr
        layout = self.work / "oci-base"
        self.layouts["base"] = (layout, json.loads((layout / "index.json").read_text())["manifests"][0]["digest"])

    def close(self):
        self.daemon.terminate()
        self.daemon.wait()


def run(command, directory):
    environment = {"PATH": os.environ["PATH"], "HOME": "/root", "TMPDIR": str(Path(tempfile.gettempdir()))}
    try:
        return subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", timeout=120)
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(command, 124, "", f"no end after {late.timeout} s")


def make_base(work):
    context = work / "base"
    context.mkdir()
    busybox = Path(shutil.which("busybox"))
    with tarfile.open(context / "base.tar", "w") as tar:
        def add(name, kind, mode, content=b"", link=""):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size, info.linkname, info.mtime = kind, mode, len(content), link, 1
            tar.addfile(info, io.BytesIO(content))
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("home", 0o755), ("proc", 0o755),
                           ("dev", 0o755), ("sys", 0o755), ("run", 0o755), ("usr", 0o755)):
            add(name, tarfile.DIRTYPE, mode)
        add("bin/busybox", tarfile.REGTYPE, 0o755, busybox.read_bytes())
        for applet in ("sh cat echo ls mkdir rm ln cp mv touch chmod chown id env printf stat wc find sleep tr sort grep "
                       "sed head mkfifo true false pwd seq").split():
            add("bin/" + applet, tarfile.SYMTYPE, 0o777, link="busybox")
        add("etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0::/:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\n")
        add("etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\nalice:x:1001:\nstaff:x:50:\n")
    (context / "Dockerfile").write_text("FROM scratch\nADD base.tar /\nCMD [\"/bin/sh\"]\n")
    return context


# --- comparison ---------------------------------------------------------------------------------------------------

def plain(image):
    """Without what differs for reasons of the builder: the base's own files, mount points, unique content."""
    tree = {p: v for p, v in image["tree"].items()
            if p != "/" and not re.match(r"/(proc|sys|dev|run|bin|usr)(/|$)|/etc/(passwd|group|hosts|resolv.conf|hostname)$|/etc$|/tmp$|/home$", p)}
    for path in UNIQUE:
        if path in tree:
            tree[path] = "unique"
    return {"tree": dict(sorted(tree.items())), "config": image["config"]}


def differences(got, wanted):
    lines = []
    for part in ("tree", "config"):
        for key in sorted(set(got[part]) | set(wanted[part])):
            mine, theirs = got[part].get(key), wanted[part].get(key)
            if mine != theirs:
                lines.append(f"    {part} {key}\n      got    {mine}\n      wanted {theirs}")
    return lines


def run_case(builder, case, work):
    """(problems, image or None, message)"""
    context = work / "context"
    for directory in (context, work / "served"):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
    arguments, last, image, message = [], None, None, ""
    for kind, rest, body in case.steps:
        if kind == "args":
            arguments = shlex.split(rest)
        elif kind in ("build", "same", "new"):
            done, image = builder.build(context, "case-" + case.name, arguments)
            message = done.stderr + done.stdout
            if (image is None) != (case.fails is not None):
                return [f"    exit code {done.returncode}: {message.strip()[-1500:]}"], None, message
            if case.fails is not None:
                if not re.search(case.fails, message, re.IGNORECASE):
                    return [f"    the message does not name the cause ({case.fails}): {message.strip()[-800:]}"], None, message
                continue
            unique = image["tree"].get("/id")
            if kind == "same" and unique != last:
                return ["    the cache should have held, but the step ran again"], image, message
            if kind == "new" and unique == last:
                return ["    the step should have run again, but came from the cache"], image, message
            last = unique
        else:
            apply_step(context, kind, rest, body.replace(b"@HTTP@", builder.served.encode()))
    return [], image, message


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jigsaw", help="path of the program")
    parser.add_argument("--peer", nargs="?", const="buildah", choices=sorted(PEERS), help="build with this one instead")
    parser.add_argument("--record", action="store_true", help="write the outcomes to expected.json")
    parser.add_argument("--only", default="", help="part of the names of the cases to run")
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("busybox") or not all(map(shutil.which, PEERS.get(options.peer, ()))):
        print("skipped: this needs root, busybox", *PEERS.get(options.peer, ()))
        return 77
    cases = [case for case in read_cases(HERE / "cases") if re.search(options.only, case.name)]
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    failed, skipped = [], 0
    os.umask(0o022)

    def judge(case, builder, work):
        problems, image, _ = run_case(builder, case, work)
        if not problems and image is not None:
            outcome = plain(image)
            if options.record:
                if options.peer or case.name not in expected or expected[case.name]["from"] == "reviewed":
                    expected[case.name] = {"from": SOURCES[options.peer], **outcome}
            elif case.name not in expected:
                problems = ["    no expected outcome is recorded"]
            else:
                problems = differences(outcome, expected[case.name])
        return problems

    with tempfile.TemporaryDirectory(prefix="jigsaw-corpus-") as directory, contextlib.ExitStack() as stack:
        # Each builder has a store, a context and a web server of its own.
        idle = queue.SimpleQueue()
        for number in range(1 if options.peer else os.cpu_count() or 1):
            work = Path(directory) / str(number)
            work.mkdir()
            builder = {"buildah": Buildah, "buildkit": BuildKit, None: functools.partial(Jigsaw, options.jigsaw)}[options.peer](work)
            stack.callback(builder.close)
            builder.build_base(make_base(work))
            idle.put((builder, work))

        def take_one(case):
            builder, work = idle.get()
            try:
                return judge(case, builder, work)
            finally:
                idle.put((builder, work))

        chosen = []
        for case in cases:
            recorded = expected.get(case.name, {}).get("from", "reviewed")
            if options.peer in case.peers or (options.peer and recorded not in ("reviewed", SOURCES[options.peer])):
                skipped += 1
            else:
                chosen.append(case)
        with concurrent.futures.ThreadPoolExecutor(idle.qsize()) as pool:
            for case, problems in zip(chosen, pool.map(take_one, chosen)):
                if problems:
                    failed.append(case.name)
                    print(f"FAIL {case.name}", *problems, sep="\n", flush=True)
    if options.record:
        EXPECTED.write_text(json.dumps(expected, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    print(f"{len(cases) - skipped - len(failed)} of {len(cases) - skipped} cases hold"
          + (f", {skipped} not compared with {options.peer}" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
