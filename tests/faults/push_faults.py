#!/usr/bin/env python3
"""Pushes to a registry that misbehaves: a clear error or a recovery, and what is there in the end is right. Their memory, and the list of
tags that `pull --all-tags` asks for.

    push_faults.py --bin BUILD/bin [--only NAME]
"""
import argparse
import concurrent.futures
import gzip
import hashlib
import http.server
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse

from image_kit import LoopbackServer
from layer_kit import Layout, archive, file, sha256

FAILURES = []
SMALL = [archive(file("a", "x" * 3000)), archive(file("b", random.Random(1).randbytes(400_000)))]


def expect(condition, name, message=""):
    if not condition:
        FAILURES.append(name)
        print(f"FAILED {name}: {message}", flush=True)


class Registry(LoopbackServer):
    """Takes uploads; `fault(handler)` may answer in its place and returns whether it did. With `keep` false it only hashes."""

    def __init__(self, fault=None, keep=True):
        self.fault, self.keep, self.mutex = fault, keep, threading.Lock()
        self.log, self.count, self.uploads, self.blobs, self.manifests = [], {}, {}, {}, {}
        super().__init__(Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def cut(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left > 0 and (data := self.rfile.read(min(left, 1 << 20))):
            left -= len(data)
            yield data

    def serve(self):
        server = self.server
        with server.mutex:
            key = (self.command, re.sub("[0-9a-f]{16,}", "*", self.path.split("?")[0]))
            server.count[key] = server.count.get(key, 0) + 1
            self.times = server.count[key]
            server.log.append((self.command, self.path, dict(self.headers)))
        if not (server.fault and server.fault(self)):
            getattr(self, "do_" + self.command.lower())()

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = lambda self: self.serve()

    def do_head(self):
        name = self.path.rsplit("/", 1)[1]
        self.answer(200 if name in self.server.blobs or name in self.server.manifests else 404)

    do_get = do_head

    def do_post(self):
        list(self.body())
        number = "%016x" % random.getrandbits(64)
        self.server.uploads[number] = (hashlib.sha256(), bytearray())
        self.answer(202, Location=f"/v2/a/b/blobs/uploads/{number}")

    def do_delete(self):
        self.answer(204)

    def take(self):
        number = self.path.split("?")[0].rsplit("/", 1)[1]
        hasher, kept = self.server.uploads[number]
        for data in self.body():
            hasher.update(data)
            if self.server.keep:
                kept += data
        return number, hasher, kept

    def do_patch(self):
        number = self.take()[0]
        self.answer(202, Location=f"/v2/a/b/blobs/uploads/{number}?state={number}")

    def do_put(self):
        if "/manifests/" in self.path:
            self.server.manifests[self.path.rsplit("/", 1)[1]] = b"".join(self.body())
            return self.answer(201)
        number, hasher, kept = self.take()
        digest = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)["digest"][0]
        if digest != "sha256:" + hasher.hexdigest():
            return self.answer(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}')
        self.server.blobs[digest] = bytes(kept)
        del self.server.uploads[number]
        self.answer(201)


def on(command, part, times, body):
    """A fault at the first `times` requests of a kind."""
    return lambda handler: handler.command == command and part in handler.path and handler.times <= times and (body(handler) or True)


def cut_within(handler):
    next(handler.body(), None)
    handler.cut()


def refused(status, message=""):
    def body(handler):
        list(handler.body())
        handler.answer(status, json.dumps({"errors": [{"code": "X", "message": message}]}).encode() if message else b"")
    return body


def elsewhere(handler):
    list(handler.body())
    handler.answer(202, Location="http://127.0.0.1:1/steal")


# name -> (fault, further words, part of the error or None if the push must succeed)
FAULTS = {
    "nothing": (None, [], None),
    "in chunks": (None, ["--chunk-size", "100k"], None),
    "zstd": (None, ["--compression", "zstd"], None),
    "nothing is compressed": (None, ["--compression", "none"], None),
    "500 for the first uploads": (on("POST", "uploads", 2, refused(500)), [], None),
    "503 for a stream": (on("PATCH", "uploads", 1, refused(503)), [], None),
    "cut within a stream": (on("PATCH", "uploads", 1, cut_within), [], None),
    "cut within a whole blob": (on("PUT", "uploads", 1, cut_within), ["--compression", "none"], None),
    "429 with Retry-After": (on("POST", "uploads", 1, lambda handler: (list(handler.body()), handler.answer(429, Retry_After="1"))), [], None),
    "500 for the manifest": (on("PUT", "manifests", 1, refused(500)), [], None),
    "500 for ever": (on("POST", "uploads", 10**9, refused(500)), [], "500"),
    "always cut": (on("PATCH", "uploads", 10**9, cut_within), [], "a/b"),
    "no right to push": (on("POST", "uploads", 10**9, refused(403, "not yours")), [], "not yours"),
    "the manifest is refused": (on("PUT", "manifests", 10**9, refused(400, "manifest invalid")), [], "manifest invalid"),
    "another digest than we sent": (on("PUT", "uploads", 10**9, refused(400, "provided digest did not match")), [], "did not match"),
    "no Location": (on("POST", "uploads", 10**9, lambda handler: handler.answer(202)), [], "where to send"),
    "a Location that nobody listens at": (on("POST", "uploads", 10**9, elsewhere), [], "port 1"),
    "a quota": (on("POST", "uploads", 10**9, refused(507, "quota exceeded")), [], "quota exceeded"),
}


def run(program, store, *words, timeout=60):
    return subprocess.run([program, "--root", store, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)


def check_push(program, name, store):
    fault, words, error = FAULTS[name]
    registry = Registry(fault)
    try:
        done = run(program, store, "push", "--retry", "3", "--stall-timeout", "5", *words, "localhost/layout:t", f"docker://{registry.host}/a/b:1")
    except subprocess.TimeoutExpired:
        return expect(False, name, "it hangs")
    finally:
        registry.shutdown()
        registry.server_close()
    if error:
        lines = [line for line in done.stderr.splitlines() if line.startswith("jigsaw: error: ")]
        expect(done.returncode == 125 and len(lines) == 1 and error in lines[0], name, f"{done.returncode}: {done.stderr[-300:]}")
        return expect("1" not in registry.manifests, name, "a manifest without its parts")
    expect(done.returncode == 0, name, done.stderr[-300:])
    manifest = registry.manifests.get("1", b"{}")
    expect(done.stdout.strip() == sha256(manifest), name, "another digest is told")
    layers = [registry.blobs.get(each["digest"], b"") for each in json.loads(manifest).get("layers", [])]
    plain = [gzip.decompress(each) if each[:2] == b"\x1f\x8b" else subprocess.run(["zstd", "-dcq"], input=each, capture_output=True, check=False).stdout
             if each[:4] == b"\x28\xb5\x2f\xfd" else each for each in layers]
    expect(plain == SMALL, name, "other layers")


def credentials_stay_at_home(program, room):
    """Uploads that are sent to another host go there without the password."""
    other = Registry()

    def fault(handler):
        if "Authorization" not in handler.headers:
            list(handler.body())
            handler.answer(401, WWW_Authenticate='Basic realm="test"')
            return True
        if handler.command == "POST":
            other.uploads["00"] = (hashlib.sha256(), bytearray())
            handler.answer(202, Location=f"http://{other.host}/v2/a/b/blobs/uploads/00")
            return True
        return False

    registry = Registry(fault)
    run(program, room + "/creds", "pull", "-q", f"oci:{room}/layout:t")
    run(program, room + "/creds", "push", "-q", "--creds", "me:secret", "--retry", "1", "localhost/layout:t", f"docker://{registry.host}/a/b:1")
    expect(other.log and not any("Authorization" in headers for _, _, headers in other.log), "credentials", f"{other.log}")


def memory(program, room):
    """Any push of any layer: less than 56 MiB."""
    noise = random.Random(2).randbytes(1 << 20)
    words = b" ".join(b"%d" % each for each in range(200_000))
    large = [archive(file("zeros", bytes(60 << 20))), archive(file("noise", noise * 24)), archive(file("words", words * 20)), archive(file("more", (noise + words) * 12))]
    Layout(room + "/large/layout").image(large)
    store = room + "/memory"
    run(program, store, "pull", "-q", f"oci:{room}/large/layout:t", timeout=100)
    for kind in ("gzip", "zstd", "none"):
        registry = Registry(keep=False)
        done = subprocess.run([sys.executable, "-c", "import resource,subprocess,sys; r=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL); "
                               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, r.returncode)", program, "--root", store, "push", "-q",
                               "--compression", kind, "localhost/layout:t", f"docker://{registry.host}/a/b:1"], capture_output=True, text=True, timeout=100, check=False)
        peak, code = (int(word) for word in done.stdout.split())
        expect(code == 0 and peak < 56 << 10, "memory", f"{kind}: exit code {code}, peak {peak} KiB: {done.stderr[-200:]}")
        print(f"peak memory of a push, {kind}: {peak >> 10} MiB")
        registry.shutdown()
        registry.server_close()


def tags(program, room):
    """Pages, and pages that lie: no tag that is none, no other host, no end that is not reached."""
    pages = {"": (["2", "1"], "</v2/a/b/tags/list?last=2&n=2>; rel=\"next\""), "last=2&n=2": (["3"], "")}
    cases = {"two pages": (pages, ["1", "2", "3"]), "none": ({"": (None, "")}, "no tags"), "a tag that is a path": ({"": (["../../x"], "")}, "none"),
             "a page that names itself": ({"": (["1"], '</v2/a/b/tags/list?>; rel="next"')}, None),
             "a page of another host": ({"": (["1"], '<http://127.0.0.1:1/v2/other/tags/list?n=1>; rel="next"')}, ["1"])}
    for name, (given, outcome) in cases.items():
        asked = []

        def fault(handler):
            path, _, query = handler.path.partition("?")
            if path == "/v2/a/b/tags/list":
                asked.append(query)
                names, link = given.get(query, ([], ""))
                handler.answer(200, json.dumps({"name": "a/b", "tags": names if len(asked) < 5 else []}).encode(), **({"Link": link} if link else {}))
                return True
            return False

        registry = Registry(fault)
        done = run(program, room + "/tags", "pull", "-q", "--retry", "1", "--all-tags", f"{registry.host}/a/b")
        wanted = [path.rsplit("/", 1)[1] for command, path, _ in registry.log if "/manifests/" in path]
        if isinstance(outcome, list):  # the first one is asked for, and is not there
            expect(wanted == outcome[:1] and "does not have it" in done.stderr, name, f"{wanted} {done.stderr[-200:]}")
        else:
            expect(done.returncode == 125 and (outcome or "does not have it") in done.stderr, name, done.stderr[-200:])
        expect(len(asked) <= 5, name, asked)
        registry.shutdown()
        registry.server_close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    program = options.bin + "/jigsaw-transfer"
    if not os.path.exists(program):
        print("skipped: needs jigsaw-transfer")
        return 77
    with tempfile.TemporaryDirectory(prefix="jigsaw-push-faults-") as room:
        Layout(room + "/layout").image(SMALL)
        chosen = [each for each in FAULTS if options.only in each]
        for number in range(len(chosen)):  # a store each: what a layer compresses to is remembered
            run(program, f"{room}/{number}", "pull", "-q", f"oci:{room}/layout:t")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(check_push, program, each, f"{room}/{number}") for number, each in enumerate(chosen)]:
                future.result()
        for name, body in (("memory", memory), ("tags", tags), ("credentials", credentials_stay_at_home)):
            if options.only in name:
                body(program, room)
    print(f"{len(chosen)} faults, {len(FAILURES)} failures")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
