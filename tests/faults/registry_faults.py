"""A registry that misbehaves, one fault after the other: each pull must end in a whole image or in a clear error, in
bounded time and memory, and the store must be whole in either case.

    registry_faults.py --bin BUILD/bin [--only NAME]
"""
import argparse
import base64
import concurrent.futures
import gzip
import http.server
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

from image_kit import INDEX, MANIFEST, Image, LoopbackServer, damage_of, random_image, sha256, tags_of, unneeded

IMAGE = random_image()
BIG = IMAGE.layers[1]


class Registry(LoopbackServer):
    """Serves IMAGE as a/b:1; `fault` may answer in its place."""

    def __init__(self, fault=None, image=IMAGE):
        self.fault, self.image, self.log, self.count, self.mutex = fault, image, [], {}, threading.Lock()
        super().__init__(Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", headers=None, length=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def cut(self):
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server = self.server
        with server.mutex:
            server.log.append((self.command, self.path, dict(self.headers)))
            server.count[self.path] = server.count.get(self.path, 0) + 1
            times = server.count[self.path]
        if server.fault and server.fault(self, times):
            return
        self.serve()

    def serve(self, transform=None):
        image = self.server.image
        kind, name = self.path.split("/")[-2:]
        if kind == "manifests":
            self.answer(200, image.manifest, {"Content-Type": MANIFEST, "Docker-Content-Digest": sha256(image.manifest)})
        elif kind == "blobs" and name in image.blobs:
            data = image.blobs[name]
            wanted = self.headers.get("Range")
            if wanted:
                start = int(wanted.split("=")[1].split("-")[0])
                self.answer(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})
            else:
                self.answer(200, data)
        else:
            self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')


def is_big(handler):
    return handler.path.endswith(BIG)


def cut_in_the_middle(handler, times):
    if not is_big(handler) or times > 3:
        return False
    data = IMAGE.blobs[BIG]
    start = int(handler.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
    headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
    handler.answer(206 if start else 200, data[start:start + 70_000], headers, length=len(data) - start)
    handler.cut()
    return True


def cut_and_no_range(handler, times):
    if not is_big(handler):
        return False
    data = IMAGE.blobs[BIG]
    handler.answer(200, data[:100_000 * times], length=len(data))
    if 100_000 * times < len(data):
        handler.cut()
    return True


def wrong_range(handler, times):
    if not is_big(handler):
        return False
    data = IMAGE.blobs[BIG]
    if times == 1:
        handler.answer(200, data[:70_000], length=len(data))
        handler.cut()
    else:
        handler.answer(206, data[10:], {"Content-Range": f"bytes 10-{len(data) - 1}/{len(data)}"})
    return True


def always_cut(handler, times):
    if is_big(handler):
        handler.answer(200, b"", length=len(IMAGE.blobs[BIG]))
        handler.cut()
        return True
    return False


def stall(handler, times):
    if is_big(handler) and times == 1:
        handler.answer(200, IMAGE.blobs[BIG][:50_000], length=len(IMAGE.blobs[BIG]))
        handler.wfile.flush()
        time.sleep(4)
        handler.cut()
        return True
    return False


def first_times(status, number, headers=None):
    def fault(handler, times):
        if times <= number:
            handler.answer(status, b"busy", headers)
            return True
        return False
    return fault


def on_big(body):
    def fault(handler, times):
        if is_big(handler):
            body(handler, IMAGE.blobs[BIG])
            return True
        return False
    return fault


def on_manifest(body):
    def fault(handler, times):
        if "/manifests/" in handler.path:
            body(handler)
            return True
        return False
    return fault


def flipped(data):
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 4
    return bytes(changed)


def manifest_with(change, content_type=MANIFEST):
    document = json.loads(IMAGE.manifest)
    change(document)
    text = json.dumps(document).encode()
    return on_manifest(lambda handler: handler.answer(200, text, {"Content-Type": content_type}))


def gigabyte(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", MANIFEST)
    handler.end_headers()
    try:
        for _ in range(1024):
            handler.wfile.write(b" " * (1 << 20))
    except OSError:
        pass
    handler.close_connection = True


def giant_header(handler):
    handler.answer(200, IMAGE.manifest, {f"X-{i}": "y" * 1000 for i in range(90)})


def set_config(**fields):
    return manifest_with(lambda document: document["config"].update(fields))


def set_layer(**fields):
    return manifest_with(lambda document: document["layers"][1].update(fields))


def with_config(change):
    image = random_image()
    config = json.loads(image.blobs[image.document["config"]["digest"]])
    change(config)
    image.document["config"] = image.add(json.dumps(config).encode(), image.document["config"]["mediaType"])
    return image


def swap(config):
    config["rootfs"]["diff_ids"].reverse()


BOTH = {"schemaVersion": 2, "config": IMAGE.document["config"], "layers": IMAGE.document["layers"],
        "manifests": [{"mediaType": MANIFEST, "digest": sha256(IMAGE.manifest), "size": len(IMAGE.manifest)}]}
SCHEMA1 = {"schemaVersion": 1, "name": "a/b", "tag": "1", "architecture": "amd64", "fsLayers": [], "history": [], "signatures": []}

# name -> (fault, words of the error or None if the pull must succeed)
FAULTS = {
    "nothing": (None, None),
    "cut in the middle, three times": (cut_in_the_middle, None),
    "cut, and no ranges": (cut_and_no_range, None),
    "a range that was not asked for": (wrong_range, "another range"),
    "always cut": (always_cut, BIG),
    "a stall": (stall, None),
    "429 with Retry-After": (first_times(429, 1, {"Retry-After": "1"}), None),
    "500 twice": (first_times(500, 2), None),
    "503 for ever": (first_times(503, 10**9), "503"),
    "a blob cut short": (on_big(lambda handler, data: handler.answer(200, data[:-5000])), BIG),
    "a blob too long": (on_big(lambda handler, data: handler.answer(200, data + b"x" * 5000)), "more than"),
    "a bit flipped in a blob": (on_big(lambda handler, data: handler.answer(200, flipped(data))), "a/b"),
    "a blob that is not there": (on_big(lambda handler, data: handler.answer(404)), "404"),
    "a manifest that is not there": (on_manifest(lambda handler: handler.answer(404)), "does not have it"),
    "another digest in the header": (on_manifest(lambda handler: handler.answer(
        200, IMAGE.manifest, {"Content-Type": MANIFEST, "Docker-Content-Digest": "sha256:" + "0" * 64})), "digest"),
    "a manifest of a gigabyte": (on_manifest(gigabyte), "larger than"),
    "headers without end": (on_manifest(giant_header), "larger than"),
    "a redirect in a circle": (on_manifest(lambda handler: handler.answer(302, b"", {"Location": handler.path})), "circle"),
    "a redirect to a file": (on_manifest(lambda handler: handler.answer(302, b"", {"Location": "file:///etc/passwd"})), "redirects"),
    "a redirect to nowhere": (on_manifest(lambda handler: handler.answer(302)), "redirects"),
    "a web page": (on_manifest(lambda handler: handler.answer(200, b"<html>hello</html>", {"Content-Type": "text/html"})), "a/b"),
    "JSON that ends early": (on_manifest(lambda handler: handler.answer(200, IMAGE.manifest[:-20], {"Content-Type": MANIFEST})), "JSON"),
    "nested arrays": (on_manifest(lambda handler: handler.answer(200, b"[" * 100_000, {"Content-Type": MANIFEST})), "a/b"),
    "a type that is not the document's": (manifest_with(lambda document: None, INDEX), "a/b"),
    "manifest and index at once": (on_manifest(lambda handler: handler.answer(200, json.dumps(BOTH).encode(), {"Content-Type": MANIFEST})), "a/b"),
    "schema 1": (on_manifest(lambda handler: handler.answer(200, json.dumps(SCHEMA1).encode(), {
        "Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"})), "schema"),
    "a digest that is a path": (set_layer(digest="sha256:../../../../etc/passwd"), "digest"),
    "a digest in capitals": (set_layer(digest=BIG.upper()), "digest"),
    "a size that lies": (set_layer(size=10), "more than"),
    "a negative size": (set_layer(size=-1), "size"),
    "a giant size": (set_layer(size=1 << 62), "ends after"),
    "a giant config": (set_config(size=1 << 40), "bytes"),
    "no container image": (set_config(mediaType="application/vnd.cncf.helm.config.v1+json"), "no container image"),
    "a layer too few": (manifest_with(lambda document: document["layers"].pop()), "a/b"),
    "a layer too many": (manifest_with(lambda document: document["layers"].append(document["layers"][0])), "a/b"),
}
IMAGES = {
    "diff_ids in another order": (with_config(swap), "unpacks to"),
    "a diff_id too few": (with_config(lambda config: config["rootfs"]["diff_ids"].pop()), "a/b"),
    "no diff_ids": (with_config(lambda config: config["rootfs"].pop("diff_ids")), "diff_ids"),
    "the same layer twice": (Image([{"a": b"1"}, {"b": b"2"}, {"a": b"1"}]), None),
    "an image of another processor": (Image([{"a": b"1"}], "s390x"), None),
}

FAILURES = []


def pull(program, store, registry, extra=(), timeout=50):
    command = [program, "--root", store, "pull", "--stall-timeout", "2", *extra, registry.host + "/a/b:1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def expect(condition, name, message):
    if not condition:
        FAILURES.append(f"{name}: {message}")
        print(f"FAILED {name}: {message}", flush=True)


def contents(image):
    """What each layer holds, by its diff_id: names and bytes of its files."""
    result = {}
    for digest in image.layers:
        plain = gzip.decompress(image.blobs[digest])
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            result[sha256(plain)[7:]] = {each.name: tar.extractfile(each).read() for each in tar if each.isfile()}
    return result


def unpacked(store):
    result = {}
    for key in os.listdir(store + "/layers"):
        top = f"{store}/layers/{key}/diff"
        names = [os.path.join(above, each) for above, _, files in os.walk(top) for each in files]
        result[key] = {os.path.relpath(each, top): open(each, "rb").read() for each in names}
    return result


def check_pull(program, name, registry, words):
    with tempfile.TemporaryDirectory(prefix="jigsaw-faults-") as room:
        store = room + "/store"
        try:
            result = pull(program, store, registry)
        except subprocess.TimeoutExpired:
            return expect(False, name, "it hangs")
        finally:
            registry.shutdown()
            registry.server_close()
        problems = damage_of(store)
        expect(not problems, name, f"the store is damaged: {problems}")
        if words is None:
            expect(result.returncode == 0, name, f"exit code {result.returncode}: {result.stderr[-400:]}")
            return expect(unpacked(store) == contents(registry.image), name, "other files than the layers hold")
        expect(result.returncode == 125, name, f"exit code {result.returncode}")
        errors = [line for line in result.stderr.splitlines() if line.startswith("jigsaw: error: ")]
        expect(len(errors) == 1 and words in errors[0], name, f"no error with '{words}': {result.stderr[-400:]}")
        expect(tags_of(store) == [], name, "a tag was given")


def credentials_stay_at_home(program):
    """A redirect to another host does not take the Authorization header along."""
    name = "redirects without credentials"
    other = Registry()

    def fault(handler, times):
        wanted = "Basic " + base64.b64encode(b"me:secret").decode()
        if handler.headers.get("Authorization") != wanted:
            handler.answer(401, b"", {"WWW-Authenticate": 'Basic realm="test"'})
        elif "/blobs/" in handler.path:
            handler.answer(307, b"", {"Location": f"http://{other.host}{handler.path}"})
        else:
            return False
        return True

    registry = Registry(fault)
    with tempfile.TemporaryDirectory(prefix="jigsaw-faults-") as room:
        result = pull(program, room + "/store", registry, ["--creds", "me:secret", "--explain"])
        expect(result.returncode == 0, name, result.stderr[-400:])
        expect("secret" not in result.stderr and "bWU6c2VjcmV0" not in result.stderr, name, "--explain shows the password")
        expect("Basic ***" in result.stderr, name, "--explain does not show the header at all")
        result = pull(program, room + "/store2", registry)
        expect(result.returncode == 125 and "jigsaw login" in result.stderr, name, "no hint to log in")
    expect(other.log and all("Authorization" not in headers for _, _, headers in other.log), name, "the password went along")


def one_request(program):
    name = "an unchanged tag"
    registry = Registry(lambda handler, times: handler.headers.get("If-None-Match") == f'"{sha256(IMAGE.manifest)}"'
                        and (handler.answer(304) or True))
    with tempfile.TemporaryDirectory(prefix="jigsaw-faults-") as room:
        pull(program, room + "/store", registry)
        before = {path: os.stat(path).st_mtime_ns for path, _, _ in os.walk(room)}
        del registry.log[:]
        result = pull(program, room + "/store", registry)
        expect(result.returncode == 0 and len(registry.log) == 1, name, f"{len(registry.log)} requests")
        expect(before == {path: os.stat(path).st_mtime_ns for path, _, _ in os.walk(room)}, name, "something was written")


def one_request_of_an_index(program):
    """An index that changes for others only: our image is the same, and the pull after that one makes a single request again."""
    name, current = "an index that changed for others", []

    def index(number):
        ours = {"mediaType": MANIFEST, "digest": sha256(IMAGE.manifest), "size": len(IMAGE.manifest), "platform": {"architecture": "amd64", "os": "linux"}}
        other = {"mediaType": MANIFEST, "digest": "sha256:" + str(number) * 64, "size": 5, "platform": {"architecture": "s390x", "os": "linux"}}
        return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [other, ours]}).encode()

    def fault(handler, times):
        if not handler.path.endswith("manifests/1"):
            return False
        if handler.headers.get("If-None-Match") == f'"{sha256(current[-1])}"':
            handler.answer(304)
        else:
            handler.answer(200, current[-1], {"Content-Type": INDEX, "Docker-Content-Digest": sha256(current[-1])})
        return True

    registry = Registry(fault)
    with tempfile.TemporaryDirectory(prefix="jigsaw-faults-") as room:
        for number, requests in ((1, None), (1, 1), (2, None), (2, 1)):
            current.append(index(number))
            before = {path: os.stat(path).st_mtime_ns for path, _, _ in os.walk(room)}
            del registry.log[:]
            result = pull(program, room + "/store", registry)
            expect(result.returncode == 0, name, result.stderr[-300:])
            if requests:
                expect(len(registry.log) == 1, name, f"{len(registry.log)} requests")
                expect(before == {path: os.stat(path).st_mtime_ns for path, _, _ in os.walk(room)}, name, "something was written")
            expect(not any("/blobs/" in path for _, path, _ in registry.log) or current[-1] is current[0], name, "a blob was fetched again")


def resumed_by_another(program):
    """What one process has fetched of a blob, the next one does not fetch again; unless it is wrong."""
    name, healthy = "half a blob of an earlier process", []

    def cut(handler, times):
        if not is_big(handler) or healthy:
            return False
        data = IMAGE.blobs[BIG]
        handler.answer(200, data[:150_000], length=len(data))
        handler.cut()
        return True

    registry = Registry(cut)
    with tempfile.TemporaryDirectory(prefix="jigsaw-faults-") as room:
        def left():
            folder = room + "/store/partial"
            return [f"{folder}/{each}" for each in os.listdir(folder) if each.endswith(BIG[7:])] if os.path.isdir(folder) else []

        for damage in (None, b"nonsense"):
            shutil.rmtree(room + "/store", ignore_errors=True)
            del healthy[:]
            result = pull(program, room + "/store", registry, ["--retry", "1"])
            expect(result.returncode == 125 and len(left()) == 1, name, f"exit code {result.returncode}, left {left()}")
            size = os.path.getsize(left()[0])
            if damage:
                with open(left()[0], "r+b") as file:
                    file.write(damage)
            healthy.append(True)
            del registry.log[:]
            result = pull(program, room + "/store", registry)
            ranges = [headers.get("Range") for _, path, headers in registry.log if path.endswith(BIG)]
            wanted = [f"bytes={size}-"] + [None] * bool(damage)
            expect(result.returncode == 0 and ranges == wanted, name, f"exit code {result.returncode}, asked for {ranges}, {result.stderr[-300:]}")
            expect(not left() and not damage_of(room + "/store"), name, f"left {left()}, {damage_of(room + '/store')}")


def each_layer_once(program):
    name = "ten pulls at once"
    slow = lambda handler, times: "/blobs/" in handler.path and (time.sleep(0.2) or False)
    registry = Registry(slow)
    with tempfile.TemporaryDirectory(prefix="jigsaw-faults-") as room:
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            results = list(pool.map(lambda _: pull(program, room + "/store", registry), range(10)))
        expect(all(result.returncode == 0 for result in results), name, [r.stderr[-200:] for r in results if r.returncode])
        for layer in IMAGE.layers:
            expect(registry.count[f"/v2/a/b/blobs/{layer}"] == 1, name, f"a layer was fetched {registry.count[f'/v2/a/b/blobs/{layer}']} times")
        expect(not damage_of(room + "/store"), name, damage_of(room + "/store"))


def mirror(program):
    name = "a mirror"
    origin, copy, broken = Registry(), Registry(), Registry(lambda handler, times: handler.answer(500) or True)
    with tempfile.TemporaryDirectory(prefix="jigsaw-faults-") as room:
        result = pull(program, room + "/1", origin, ["--mirror", f"{origin.host}={copy.host}"])
        expect(result.returncode == 0 and not origin.log and copy.log, name, "the mirror is not asked first")
        result = pull(program, room + "/2", origin, ["--mirror", f"{origin.host}={broken.host}", "--retry", "1"])
        expect(result.returncode == 0 and origin.log, name, "a broken mirror is no reason to fail")


def killed(program, times):
    """kill -9 at random instants: the store is whole, and the next pull succeeds."""
    import random
    name, source = "kill -9", random.Random(7)
    registry = Registry(lambda handler, _: "/blobs/" in handler.path and (time.sleep(0.005) or False))
    with tempfile.TemporaryDirectory(prefix="jigsaw-faults-") as room:
        for i in range(times):
            store = f"{room}/{i % 4}"
            if i % 8 < 4:
                shutil.rmtree(store, ignore_errors=True)
            process = subprocess.Popen([program, "--root", store, "pull", "-q", registry.host + "/a/b:1"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(source.random() * 0.08)
            process.send_signal(signal.SIGKILL)
            process.wait()
            if os.path.exists(store + "/jigsaw.json"):
                problems = [each for each in damage_of(store) if not each.endswith("left over")]
                expect(not problems, name, problems)
            if i % 10 == 9:
                result = pull(program, store, registry)
                expect(result.returncode == 0, name, result.stderr[-300:])
                expect(unpacked(store) == contents(IMAGE), name, "other files than the layers hold")
        for store in [f"{room}/{each}" for each in range(4)]:
            pull(program, store, registry)
            subprocess.run([program.removesuffix("-transfer"), "--root", store, "--run-root", room + "/run", "system", "prune", "-f"],
                           capture_output=True, check=True)
            expect(not damage_of(store) + unneeded(store), name, damage_of(store) + unneeded(store))
            expect(unpacked(store) == contents(IMAGE), name, "other files than the layers hold")


def bounded_memory(program):
    """Large layers; and six whose windows are of 8 MiB, as `zstd -19` makes them."""
    def wide(plain):
        return subprocess.run(["zstd", "-q", "-c", "-1", "--zstd=wlog=23"], input=plain, capture_output=True, check=True).stdout

    images = {"150 MiB": Image([{"zeros": bytes(120 << 20)}, {"random": os.urandom(30 << 20)}]),
              "wide windows": Image([{f"random-{i}": os.urandom(10 << 20)} for i in range(6)], pack=wide)}
    for what, image in images.items():
        name = "memory of " + what
        registry = Registry(image=image)
        with tempfile.TemporaryDirectory(prefix="jigsaw-faults-") as room:
            result = subprocess.run(["/usr/bin/env", "python3", "-c",
                                     "import resource,subprocess,sys; r=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL); "
                                     "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, r.returncode)",
                                     program, "--root", room + "/store", "pull", "-q", registry.host + "/a/b:1"],
                                    capture_output=True, text=True, timeout=100)
            peak, code = (int(word) for word in result.stdout.split())
            expect(code == 0 and peak < 64 << 10, name, f"exit code {code}, peak {peak} KiB: {result.stderr[-200:]}")
            print(f"peak memory of a pull, {what}: {peak >> 10} MiB")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bin", required=True)
    arguments.add_argument("--only")
    options = arguments.parse_args()
    program = options.bin + "/jigsaw-transfer"
    if not os.path.exists(program) or os.geteuid() != 0:
        print("skipped: needs root and jigsaw-transfer")
        return 77
    cases = [(name, lambda name=name: check_pull(program, name, Registry(FAULTS[name][0]), FAULTS[name][1])) for name in FAULTS]
    cases += [(name, lambda name=name: check_pull(program, name, Registry(image=IMAGES[name][0]), IMAGES[name][1])) for name in IMAGES]
    cases += [("credentials", lambda: credentials_stay_at_home(program)), ("one request", lambda: one_request(program)),
              ("half a blob", lambda: resumed_by_another(program)), ("one request of an index", lambda: one_request_of_an_index(program)),
              ("ten pulls", lambda: each_layer_once(program)), ("mirror", lambda: mirror(program)),
              ("kill", lambda: killed(program, 200)), ("memory", lambda: bounded_memory(program))]
    chosen = [(name, body) for name, body in cases if not options.only or options.only in name]
    slow = {"memory", "ten pulls", "kill"}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(body) for name, body in chosen if name not in slow]:
            future.result()
    for name, body in chosen:
        if name in slow:
            body()
    print(f"{len(chosen)} cases, {len(FAILURES)} failures")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
