#!/usr/bin/env python3
"""What somebody in front of `jigsaw build` meets: a live picture, Ctrl-C, a shell in the failed step, flags made for docker.

    tests/build/interaction.py --jigsaw build/release/bin/jigsaw [--only part_of_a_name]
"""
import fcntl, json, os, pty, re, select, shutil, signal, struct, subprocess, sys, termios, threading, time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from behaviour import all_commands, cgroup_count, registry_of, run_tests  # noqa: E402

SLOW = "FROM jigsaw/base AS a\nRUN echo words; sleep 4711\nFROM jigsaw/base AS b\nRUN sleep 0.1; echo more; sleep 4711\n" \
       "FROM scratch\nCOPY --from=a / /a\nCOPY --from=b / /b\n"


class Screen:
    """What is on a terminal after these bytes: as small as such a thing can be."""

    def __init__(self, columns):
        self.columns, self.lines, self.x, self.y, self.hidden = columns, [""], 0, 0, False

    def feed(self, data):
        text, at = data.decode(errors="replace"), 0
        while at < len(text):
            if text[at] == "\033":
                found = re.compile(r"\033\[(\??)([\d;]*)([A-Za-z])").match(text, at)
                assert found, text[at:at + 20]
                at = found.end()
                self.control(found[1], found[2], found[3])
                continue
            self.character(text[at])
            at += 1
        return self

    def control(self, private, number, letter):
        if private:
            self.hidden = letter == "l"
        elif letter == "A":
            assert int(number) <= self.y, "above the first line"
            self.y -= int(number)
        elif letter in "KJ":
            self.lines[self.y] = self.lines[self.y][:self.x]
            if letter == "J":
                del self.lines[self.y + 1:]
        else:
            assert letter in "mn", letter

    def character(self, character):
        if character == "\r":
            self.x = 0
        elif character == "\n" or self.x >= self.columns:
            self.x, self.y = (0 if character != "\n" else self.x), self.y + 1
            self.lines += [""] if self.y == len(self.lines) else []
        if character not in "\r\n":
            line = self.lines[self.y].ljust(self.x)
            self.lines[self.y] = line[:self.x] + character + line[self.x + 1:]
            self.x += 1

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines)


def on_a_terminal(f, *words, rows=24, columns=80, acts=(), environment=None):
    """Exit code and bytes of a build whose terminal this is; `acts` are (text to wait for, what to do then)."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(f.work)
        os.execve(f.program, f.command() + ["build", *map(str, words)], {**os.environ, "TERM": "xterm", **(environment or {})})
    size = lambda r, c: fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", r, c, 0, 0))
    size(rows, columns)
    said, acts, deadline = b"", list(acts), time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([master], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        said += data
        while acts and acts[0][0] in said:
            act = acts.pop(0)[1]
            if isinstance(act, bytes):
                os.write(master, act)
            elif isinstance(act, tuple):
                size(*act)
            else:
                os.kill(pid, act)
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def live_picture(f):
    c = f.context("FROM jigsaw/base AS a\nRUN for i in 1 2 3 4 5 6; do echo line $i of many; sleep 0.1; done\n"
                  "FROM jigsaw/base AS b\nRUN echo " + "long " * 60 + "; sleep 0.3\nFROM scratch\nCOPY --from=a /etc/passwd /a\n"
                  "COPY --from=b /etc/passwd /b\n")
    code, said = on_a_terminal(f, "--no-cache", c)
    screen = Screen(80).feed(said)
    assert code == 0 and not screen.hidden, (code, said[-300:])
    assert said.count(b"\033[?25l") > 5 and b"line 3 of many" in said and b"1 step done" in said, said
    lines = screen.text().split("\n")
    assert [line[:15] for line in lines[:4]] == [" => [b 1/1] RUN", " => [a 1/1] RUN", " => [stage-2 1/", " => [stage-2 2/"], lines
    assert all(len(line) < 80 for line in lines[:4]) and "  | " not in "".join(lines), lines
    assert re.search(r"^ => CACHED \[b 1/1\] RUN echo long .* 0\.0s$", Screen(80).feed(on_a_terminal(f, c)[1]).text(), re.M)
    # A small one, and one that shrinks meanwhile: the frame finds its lines again.
    code, said = on_a_terminal(f, "--no-cache", c, rows=4, columns=24)
    assert code == 0 and "done" not in "\n".join(Screen(24).feed(said).lines[:4]), Screen(24).feed(said).text()
    assert on_a_terminal(f, "--no-cache", c, acts=[(b"line 2", (10, 30))])[0] == 0
    assert b"\033[2m" not in on_a_terminal(f, c, environment={"NO_COLOR": "1"})[1]
    for words, environment in (([c], {"TERM": "dumb"}), (["--progress", "plain", c], {}), (["-q", c], {})):
        assert b"\033" not in on_a_terminal(f, *words, environment=environment)[1], words
    code, said = on_a_terminal(f, f.context("FROM jigsaw/base\nRUN echo last words; exit 7\n"))
    assert code == 7 and " => ERROR [1/1] RUN echo last words; exit 7" in Screen(80).feed(said).text(), said


def shell_on_error(f):
    c = f.context("FROM jigsaw/base\nRUN mkdir /made; sleep 0.1; exit 7\n")
    code, said = on_a_terminal(f, "--on-error", "shell", c, acts=[(b"# ", b"ls -d /mad*; tty; echo in $HOSTNAME\n"), (b"in build", b"exit\n")])
    assert code == 7 and b"\r\n/made\r\n" in said and b"in buildkitsandbox" in said and b"/dev/" in said, said
    assert b"can't access tty" not in said, said
    done = f.run("build", "--on-error", "shell", c, input=b"ls -d /mad*\n")
    assert done.returncode == 7 and b"/made" in done.stdout + done.stderr, done
    assert f.run("build", "--on-error", "x", c).returncode == 125


def interrupted(f):
    c = f.context("FROM jigsaw/base\nRUN echo done > /1\nRUN echo go; sleep 4711\n")
    (c / "Two").write_text(SLOW)

    def nothing_left(store):
        assert not list((f.work / store / "tmp").iterdir()), list((f.work / store / "tmp").iterdir())
        assert not any(b"4711" in command for command in all_commands()), "a process of a RUN lives on"
        assert not [x for x in (f.work / "run/builds").iterdir() if x.name.startswith("build-")] and cgroup_count() <= cgroups

    f.good(f.build(f.context("FROM jigsaw/base\n", "first")))
    cgroups = cgroup_count()
    for number, group, file in ((signal.SIGINT, True, "Dockerfile"), (signal.SIGTERM, False, "Dockerfile"), (signal.SIGHUP, False, "Dockerfile"),
                                (signal.SIGINT, True, "Two"), (signal.SIGTERM, False, "Two")):
        child = subprocess.Popen(f.command() + ["build", "-f", c / file, c], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                 start_new_session=True)
        said = b""
        while not all(word in said for word in ([b"] go"] if file == "Dockerfile" else [b"] words", b"] more"])):
            said += os.read(child.stderr.fileno(), 4096)
        (os.killpg if group else os.kill)(child.pid, number)
        said += child.stderr.read()
        assert child.wait() == 128 + number and said.count(b"error:") == 1 and b"interrupted by " + number.name.encode() in said, said
        nothing_left("store")
    done = f.build(f.context("FROM jigsaw/base\nRUN echo done > /1\n", "kept"))
    assert f.cached(done) == (1, 1), "the finished step is kept"
    # Another build's step is waited for; a copy of much; a registry that does not answer.
    big = f.context("FROM scratch\nCOPY big many /\n", "big")
    (big / "many").mkdir()
    with open(big / "big", "wb") as file:
        file.truncate(4 << 30)
    with __import__("socket").socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        slow = f.context(f"FROM 127.0.0.1:{listener.getsockname()[1]}/x\n", "slow")
        other = subprocess.Popen(f.command() + ["build", c], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        for context, pause in ((c, 0.5), (big, 0.5), (slow, 0.5)):
            child = subprocess.Popen(f.command() + ["build", context], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
            time.sleep(pause)
            start = time.monotonic()
            child.send_signal(signal.SIGTERM)
            said = child.communicate(timeout=20)[1]
            assert child.returncode == 143 and b"interrupted" in said and time.monotonic() - start < 5, (context, child.returncode, said)
        other.send_signal(signal.SIGINT)
        other.wait(timeout=20)
    nothing_left("store")
    # On a terminal the picture goes before the message comes.
    code, said = on_a_terminal(f, "-f", c / "Two", c, acts=[(b"| more", b"\x03")])
    screen = Screen(80).feed(said)
    assert code == 130 and screen.text().split("\n")[0].startswith((" => ERROR", "jigsaw: error: interrupted")), screen.text()
    assert "[+]" not in screen.text() and not screen.hidden, screen.text()


def ssh_agent(f):
    if not shutil.which("ssh-agent"):
        return
    home = f.work / "ssh"
    home.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the-key", "-f", home / "key"], check=True)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", home / "agent"], stdout=subprocess.DEVNULL)
    try:
        while not (home / "agent").exists():
            time.sleep(0.02)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(home / "agent")}
        subprocess.run(["ssh-add", "-q", home / "key"], env=environment, check=True)
        c = f.context("FROM jigsaw/base\nUSER 1234\nRUN --mount=type=ssh,mode=0640,uid=1234,gid=77,required stat -c '%a %u %g %F' $SSH_AUTH_SOCK > /tmp/s\n"
                      "RUN --mount=type=ssh,target=/agent,id=other ls -l /agent && test ! -w /agent && echo $SSH_AUTH_SOCK > /tmp/t\n")
        f.good(f.build(c, "--ssh", "default", "--ssh", f"other={home}/agent", "-o", f.work / "out", env=environment))
        assert (f.work / "out/tmp/s").read_text() == "640 1234 77 socket\n" and (f.work / "out/tmp/t").read_text() == "/agent\n"
        c = f.context("FROM host\nRUN --mount=type=ssh,required ssh-add -l > /keys\n")
        image = f.work / "host"
        copy_programs(image, "/usr/bin/ssh-add", "/bin/sh")
        f.good(f.build(c, "--build-context", f"host={image}", "--ssh", "default", "-o", f.work / "out2", env=environment))
        assert "the-key" in (f.work / "out2/keys").read_text(), (f.work / "out2/keys").read_text()
        done = f.build(c, "--no-cache", "--build-context", f"host={image}", "--ssh", "elsewhere", env=environment)
        assert done.returncode != 0 and b"ssh agent 'default' not found" in done.stderr, done.stderr
        done = f.build(c, "--ssh", f"default={home}/key")
        assert done.returncode == 125 and b"ssh-add" in done.stderr, done.stderr
    finally:
        agent.terminate()
        agent.wait()
    done = f.build(c, "--no-cache", "--build-context", f"host={image}", "--ssh", "default", env=environment)
    assert done.returncode != 0 and b"is it running" in done.stderr, done.stderr


def copy_programs(root, *programs):
    """Programs of this machine with their libraries."""
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        for path in [program, *re.findall(r"(/\S+)", listed)]:
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def flags_of_docker(f):
    c = f.context("FROM jigsaw/base\nRUN cat /etc/hosts > /h; cat /proc/self/cgroup > /g\n")
    f.good(f.build(c, "--add-host", "db:10.0.0.5", "--add-host=six=[::7]", "--cgroup-parent", "jigsaw-parent", "-o", f.work / "out"))
    hosts = (f.work / "out/h").read_text()
    assert "10.0.0.5\tdb\n" in hosts and "::7\tsix\n" in hosts and "/jigsaw-parent/jigsaw-build-" in (f.work / "out/g").read_text()
    for path in Path("/sys/fs/cgroup").glob("**/jigsaw-parent"):
        path.rmdir()
    f.good(f.build(c, "--add-host", "db:10.0.0.5"))
    assert f.cached(f.build(c, "--add-host", "db:10.0.0.6")) == (1, 1) and f.cached(f.build(c, "--add-host", "other:10.0.0.6")) == (1, 0)
    for words in (["--load", "--rm", "--force-rm", "--compress", "--provenance=false", "--sbom", "false", "--attest", "type=sbom,disabled=true"],
                  ["--allow", "network.host", "--builder", "default", "-c", "512", "--cpu-quota", "90000", "--cpu-period", "100000"]):
        f.good(f.build(c, *words))
    for words, reason in ((["--provenance=mode=max"], b"attestations"), (["--sbom", "true"], b"attestations"), (["--squash"], b"FROM scratch"),
                          (["--builder", "x"], b"one builder"), (["--allow", "security.insecure"], b"more power"), (["--push"], b"-t REGISTRY"),
                          (["--add-host", "x"], b"NAME:ADDRESS"), (["--add-host", "a:host-gateway"], b"gateway"),
                          (["--annotation", "index:a=b"], b"no index"), (["--call", "outline"], b"--graph"), (["--security-opt", "x"], b"seccomp")):
        done = f.build(c, *words)
        assert done.returncode == 125 and reason in done.stderr and done.stderr.count(b"error:") == 1, (words, done.stderr)
    f.good(f.build(c, "-t", "meta:1", "--annotation", "a.b=c", "--annotation", "manifest:d=e=f", "--metadata-file", f.work / "meta.json",
                   "-o", f"type=oci,dest={f.work}/meta,tar=false"))
    meta = json.loads((f.work / "meta.json").read_text())
    manifest = f.work / "store/blobs/sha256" / meta["containerimage.digest"].split(":")[1]
    assert json.loads(manifest.read_text())["annotations"] == {"a.b": "c", "d": "e=f"}
    assert meta["image.name"] == "docker.io/library/meta:1" and meta["containerimage.descriptor"]["size"] == manifest.stat().st_size
    with registry_of(f) as address:
        if address:
            f.good(f.build(c, "-t", f"{address}/pushed:1", "--push"))
            f.good(f.build(c, "-o", f"type=image,name={address}/pushed:2,push=true,annotation.x=y"))
            f.good(f.build(c, "-t", f"{address}/pushed:3", "-o", "type=registry"))
            f.good(f.build(f.context(f"FROM {address}/pushed:1\nCOPY --from={address}/pushed:2 /h /2\nCOPY --from={address}/pushed:3 /h /3\n"), store="two"))
    assert b"jigsaw push" in f.build(c, "-o", "type=image,compression=zstd").stderr


def checks_and_pictures(f):
    f.good(f.build(f.context("FROM jigsaw/base\nENV KNOWN=1\nONBUILD ENV X=$NOBODY\n"), "-t", "base"))
    c = f.context("FROM base AS one\nENV A=$KNOWN B=$KNOWM\nRUN echo 1 > /1\nFROM scratch as two\nCOPY --from=one /1 /1\nCOPY x /x\n", x="1")
    for words in (["--check"], ["--call", "check"]):
        done = f.build(c, *words)
        assert done.returncode == 1 and b"'$KNOWM' (did you mean $KNOWN?)" in done.stdout and b"'$NOBODY'" in done.stdout, done
        assert b"FromAsCasing: 'as' and 'FROM' keywords' casing do not match" in done.stdout and done.stdout.endswith(b"3 findings\n"), done.stdout
    assert b"to build" in f.good(f.build(c, "--graph")).stdout
    done = f.good(f.build(c))
    assert b"3 warnings found" in done.stderr and b" - FromAsCasing: " in done.stderr, done.stderr
    drawn = f.good(f.build(c, "--graph")).stdout.decode()
    assert drawn.count("cached") == 3 and "to build" not in drawn and re.search(r"FROM base +\d", drawn), drawn
    (c / "x").write_text("2")
    drawn = f.good(f.build(c, "--graph=text")).stdout.decode()
    assert re.search(r"COPY x /x +layer  to build", drawn) and drawn.count("cached") == 2, drawn
    assert f.good(f.build(c, "--graph", "svg")).stdout.startswith(b"<svg")
    assert b"never" not in f.good(f.build(f.context("FROM not.invalid/x\nCOPY --from=a.invalid/y /a /b\n"), "--graph")).stdout


if __name__ == "__main__":
    sys.exit(run_tests([live_picture, shell_on_error, interrupted, ssh_agent, flags_of_docker, checks_and_pictures], __doc__))
