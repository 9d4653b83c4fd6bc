"""Ctrl-C and its like while images move: one line, exit code 128 + the signal's number, a store that is whole.

    interrupted.py --bin BUILD/bin

Each command is in the middle of something that would take forever: a registry that stalls, one that wants to be asked again
later, another process that has the same layer in hand, a pipe nobody writes to.
"""
import argparse
import concurrent.futures
import http.server
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

from image_kit import MANIFEST, LoopbackServer, damage_of, random_image, sha256

IMAGE = random_image(layers=3, size=2_000_000)
BIG = IMAGE.layers[1]
FAILURES = []


class Registry(LoopbackServer):
    """Serves IMAGE. What `place` names is never answered to its end; `reached` is set once it is asked for."""

    def __init__(self, place):
        self.place, self.reached, self.over, self.ranges = place, threading.Event(), threading.Event(), []
        super().__init__(Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.wfile.flush()

    def stall(self):
        self.server.reached.set()
        self.server.over.wait(30)
        self.close_connection = True

    def do_GET(self):
        place, name = self.server.place, self.path.rsplit("/", 1)[1]
        if place == "later":
            self.server.reached.set()
            self.answer(503, Retry_After="60")
        elif "/manifests/" in self.path and place == "manifest":
            self.stall()
        elif "/manifests/" in self.path:
            self.answer(200, IMAGE.manifest, Content_Type=MANIFEST, Docker_Content_Digest=sha256(IMAGE.manifest))
        elif name == BIG and place == "blob":
            self.answer(200, IMAGE.blobs[BIG][:500_000], length=len(IMAGE.blobs[BIG]))
            self.stall()
        elif self.headers.get("Range"):
            start = int(self.headers["Range"].split("=")[1].split("-")[0])
            self.server.ranges.append(start)
            data = IMAGE.blobs[name]
            self.answer(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.answer(200, IMAGE.blobs[name])

    def do_HEAD(self):
        self.answer(404)

    def do_POST(self):
        self.answer(202, Location="/upload")

    def do_PATCH(self):
        self.stall()

    do_PUT = do_PATCH


def expect(condition, name, message):
    if not condition:
        FAILURES.append(name)
        print(f"{name}: {message}", flush=True)


def interrupted(name, number, command, store, reached, **options):
    """Starts the command, sends the signal once `reached`, and looks at what is left."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)
    expect(reached(), name, "does not get there")
    time.sleep(0.2)
    began = time.monotonic()
    process.send_signal(number)
    try:
        _, errors = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
        return expect(False, name, f"goes on after the signal: {errors}")
    expect(process.returncode == 128 + number, name, f"exit code {process.returncode}")
    expect(time.monotonic() - began < 3, name, "takes its time")
    said = [line for line in errors.splitlines() if "error" in line or "interrupted" in line]
    expect(said == [f"jigsaw: error: interrupted by {number.name}"], name, f"says {errors!r}")
    if os.path.exists(store + "/jigsaw.json"):
        expect(os.listdir(store + "/tmp") == [], name, f"leaves {os.listdir(store + '/tmp')}")
        damage = [each for each in damage_of(store) if not each.endswith("left over")]
        expect(not damage, name, damage)


def pull(place, number):
    def body(program, room):
        registry = Registry(place)
        store = f"{room}/{place}-{number}"
        command = [program, "--root", store, "pull", "-q", registry.host + "/a/b:1"]
        interrupted(f"pull, {place}", number, command, store, lambda: registry.reached.wait(10))
        registry.over.set()
        registry.place = ""
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        expect(done.returncode == 0, place, f"the next pull: {done.stderr}")
        expect(registry.ranges == ([500_000] if place == "blob" else []), place, f"goes on from {registry.ranges}")
        registry.shutdown()
    return body


def waiting_pull(program, room):
    """Another process has the layer in hand."""
    registry = Registry("blob")
    command = [program, "--root", room + "/waiting", "pull", "-q", registry.host + "/a/b:1"]
    other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    registry.reached.wait(10)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    expect(process.returncode == 130 and errors.startswith("jigsaw: error: interrupted by SIGINT\n"), "waiting pull", f"{process.returncode} {errors}")
    other.terminate()
    expect(other.wait(10) == 143, "waiting pull", "the other one does not end")
    registry.over.set()
    registry.shutdown()


def push_and_load(program, room):
    IMAGE.write_layout(room + "/layout", "t")
    store = room + "/push"
    subprocess.run([program, "--root", store, "pull", "-q", f"oci:{room}/layout:t"], stdout=subprocess.DEVNULL, check=True)
    registry = Registry("upload")
    interrupted("push", signal.SIGINT, [program, "--root", store, "push", "-q", "localhost/layout:t", f"docker://{registry.host}/a/b:1"], store,
                lambda: registry.reached.wait(10))
    registry.over.set()
    registry.shutdown()
    reader, writer = os.pipe()
    os.write(writer, b"\x1f\x8b\x08\0")
    interrupted("load", signal.SIGTERM, [program, "--root", room + "/load", "load", "-q"], room + "/load", lambda: time.sleep(0.5) or True, stdin=reader)
    os.close(reader)
    os.close(writer)


def run(program, room):
    """What `run` pulls first: its own exit code."""
    registry = Registry("blob")
    command = [program.removesuffix("-transfer"), "--root", room + "/run", "--run-root", room + "/run-root", "run", "--rm", registry.host + "/a/b:1"]
    interrupted("run", signal.SIGINT, command, room + "/run", lambda: registry.reached.wait(10))
    registry.over.set()
    registry.shutdown()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bin", required=True)
    options = arguments.parse_args()
    program = options.bin + "/jigsaw-transfer"
    if not os.path.exists(program) or os.geteuid() != 0:
        print("skipped: needs root and jigsaw-transfer")
        return 77
    with tempfile.TemporaryDirectory(prefix="jigsaw-interrupted-") as room:
        pulls = [pull(place, number) for place, number in (("blob", signal.SIGINT), ("blob", signal.SIGTERM), ("manifest", signal.SIGINT),
                                                           ("later", signal.SIGTERM))]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(body, program, room) for body in (*pulls, waiting_pull, push_and_load, run)]:
                future.result()
    print(f"{len(FAILURES)} failures")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
