"""Images to and from the real ones: docker-registry (plain, TLS, htpasswd, tokens), skopeo, umoci and podman, in both
directions; what comes out is compared by digest and file by file.

    registry_peers.py --bin BUILD/bin
"""
import argparse
import base64
import crypt
import hashlib
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "faults"))
from image_kit import damage_of, random_image, sha256  # noqa: E402

IMAGE = random_image(size=120_000, seed=5)
DIGEST = sha256(IMAGE.manifest)
FAILURES = []


def sh(*command, code=0, stdin=None, env=None):
    result = subprocess.run(command, capture_output=True, text=True, timeout=90, input=stdin, env={**os.environ, **(env or {})})
    if code is not None and result.returncode != code:
        raise AssertionError(f"{' '.join(command)}: exit code {result.returncode}, not {code}: {result.stderr[-500:]}")
    return result


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """docker-registry with its own storage."""

    def __init__(self, room, name, auth="", tls=None):
        self.port, self.room = free_port(), f"{room}/{name}"
        os.makedirs(self.room)
        certificate = f"  tls: {{certificate: {tls[0]}, key: {tls[1]}}}\n" if tls else ""
        with open(self.room + "/config.yml", "w") as file:
            file.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {self.room}/data}}}}\n"
                       f"http:\n  addr: 127.0.0.1:{self.port}\n{certificate}{auth}")
        self.log = open(self.room + "/log", "w")
        self.process = subprocess.Popen(["docker-registry", "serve", self.room + "/config.yml"], stdout=self.log, stderr=self.log)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("docker-registry does not start")

    @property
    def host(self):
        return f"localhost:{self.port}"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class TokenServer(http.server.ThreadingHTTPServer):
    """Signs tokens for the user me:secret, and for nobody else."""
    daemon_threads = True

    def __init__(self, key, certificate):
        super().__init__(("127.0.0.1", 0), TokenHandler)
        self.key = key
        pem = open(certificate).read().split("-----")[2]
        self.chain, self.scopes = ["".join(pem.split())], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def sign(self, scopes):
        encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
        access = [dict(zip(("type", "name", "actions"), (kind, name, actions.split(","))))
                  for kind, name, actions in (scope.split(":") for scope in scopes)]
        now = int(time.time())
        claims = {"iss": "test", "sub": "me", "aud": "registry", "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "1", "access": access}
        header = {"typ": "JWT", "alg": "RS256", "x5c": self.chain}
        text = encode(json.dumps(header).encode()) + b"." + encode(json.dumps(claims).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text, capture_output=True, check=True).stdout
        return (text + b"." + encode(signature)).decode()


class TokenHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        scopes = query.get("scope", [])
        self.server.scopes.extend(scopes)
        known = self.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:secret").decode()
        body = json.dumps({"token": self.server.sign(scopes), "expires_in": 300} if known else {}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def tree(directory):
    """path -> kind, mode and content of everything below."""
    found = {}
    for path, folders, files in os.walk(directory):
        for name in folders + files:
            full = os.path.join(path, name)
            status = os.lstat(full)
            content = hashlib.sha256(open(full, "rb").read()).hexdigest() if os.path.isfile(full) and not os.path.islink(full) else ""
            found[os.path.relpath(full, directory)] = (status.st_mode, status.st_uid, content)
    return found


class Peers:
    def __init__(self, program, room):
        self.program, self.room = program, room
        self.layout = room + "/layout"
        IMAGE.write_layout(self.layout, "v1")
        sh("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", room + "/key.pem", "-out", room + "/ca.crt", "-days", "2",
           "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        os.makedirs(room + "/certs")
        shutil.copy(room + "/ca.crt", room + "/certs/ca.crt")

    def jigsaw(self, store, *words, code=0, stdin=None):
        return sh(self.program, "--root", f"{self.room}/{store}", *words, code=code, stdin=stdin)

    def skopeo(self, *words):
        return sh("skopeo", "--insecure-policy", *words)

    def podman(self, *words):
        place = self.room + "/podman"
        return sh("podman", "--root", place + "/root", "--runroot", place + "/run", "--tmpdir", place + "/tmp", "--storage-driver", "vfs", *words)

    def plain(self):
        registry = Registry(self.room, "plain")
        try:
            name = registry.host + "/team/app:1"
            self.skopeo("copy", "-q", "--dest-tls-verify=false", f"oci:{self.layout}:v1", "docker://" + name)
            self.jigsaw("plain-store", "pull", "-q", name)
            assert not damage_of(self.room + "/plain-store")
            inspected = json.loads(self.skopeo("inspect", f"oci:{self.room}/plain-store:{name}").stdout)
            assert inspected["Digest"] == DIGEST, "skopeo reads another image from our store"
            for extra, target in (([], "whole:1"), (["--chunk-size", "50k"], "chunks:1")):
                self.jigsaw("plain-store", "push", "-q", *extra, name, f"docker://{registry.host}/copy/{target}")
                found = json.loads(self.skopeo("inspect", "--tls-verify=false", f"docker://{registry.host}/copy/{target}").stdout)
                assert found["Digest"] == DIGEST, "skopeo finds another image after our push"
            self.podman("pull", "-q", "--tls-verify=false", f"{registry.host}/copy/whole:1")
            self.podman("push", "-q", "--tls-verify=false", f"{registry.host}/copy/whole:1", f"docker://{registry.host}/podman/app:1")
            self.jigsaw("podman-store", "pull", "-q", registry.host + "/podman/app:1")
            result = self.jigsaw("plain-store", "pull", registry.host + "/team/app:nosuch", code=125)
            assert "does not have it" in result.stderr, result.stderr
        finally:
            registry.stop()
        result = self.jigsaw("plain-store", "pull", name, code=125)
        assert "hint:" in result.stderr, "no hint when the registry is down"

    def tls(self):
        registry = Registry(self.room, "tls", tls=(self.room + "/ca.crt", self.room + "/key.pem"))
        try:
            name = registry.host + "/a/b:1"
            self.skopeo("copy", "-q", "--dest-cert-dir", self.room + "/certs", f"oci:{self.layout}:v1", "docker://" + name)
            refused = self.jigsaw("tls-store", "pull", name, code=125)
            assert "certificate" in refused.stderr and "--cert-dir" in refused.stderr, refused.stderr
            self.jigsaw("tls-store", "pull", "-q", "--cert-dir", self.room + "/certs", name)
            self.jigsaw("tls-store-2", "pull", "-q", "--tls-verify=false", name)
            self.jigsaw("tls-store", "push", "-q", "--cert-dir", self.room + "/certs", name, registry.host + "/c/d:2")
        finally:
            registry.stop()

    def check_access(self, registry, store):
        """Refused without the password, let in with it, and refused again after logout."""
        name, auth = registry.host + "/a/b:1", f"{self.room}/{store}-auth.json"
        self.skopeo("copy", "-q", "--dest-tls-verify=false", "--dest-creds", "me:secret", f"oci:{self.layout}:v1", "docker://" + name)
        refused = self.jigsaw(store, "pull", "--authfile", auth, name, code=125)
        assert "jigsaw login" in refused.stderr, refused.stderr
        self.jigsaw(store, "login", "--authfile", auth, "-u", "me", "--password-stdin", registry.host, code=125, stdin="wrong\n")
        self.jigsaw(store, "login", "--authfile", auth, "-u", "me", "--password-stdin", registry.host, stdin="secret\n")
        self.jigsaw(store, "pull", "-q", "--authfile", auth, name)
        explained = self.jigsaw(store, "push", "--explain", "--authfile", auth, name, registry.host + "/c/d:2")
        assert "secret" not in explained.stderr and "***" in explained.stderr, "--explain shows too much"
        self.skopeo("inspect", "--tls-verify=false", "--authfile", auth, f"docker://{registry.host}/c/d:2")
        self.jigsaw(store, "logout", "--authfile", auth, registry.host)
        self.jigsaw(store, "logout", "--authfile", auth, registry.host, code=125)
        self.jigsaw(store, "login", "--authfile", auth, "--password-stdin", registry.host, code=125, stdin="secret\n")
        self.jigsaw(store, "login", "--authfile", auth, "-u", "me", "--password-stdin", registry.host, code=125, stdin="\n")
        self.jigsaw(store, "login", "--authfile", auth, f"https://{registry.host}/v2/", stdin="me\nsecret\n")
        self.jigsaw(store, "login", "--authfile", auth, "-u", "me", "-p", "secret", "http://" + registry.host)
        self.jigsaw(store, "logout", "--authfile", auth, "--all")
        self.jigsaw(store + "-2", "pull", "--authfile", auth, name, code=125)

    def basic(self):
        passwords = self.room + "/htpasswd"
        with open(passwords, "w") as file:
            file.write("me:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=32)) + "\n")
        registry = Registry(self.room, "basic", f"auth: {{htpasswd: {{realm: test, path: {passwords}}}}}\n")
        try:
            self.check_access(registry, "basic-store")
        finally:
            registry.stop()

    def token(self):
        server = TokenServer(self.room + "/key.pem", self.room + "/ca.crt")
        registry = Registry(self.room, "token", f"auth: {{token: {{realm: 'http://127.0.0.1:{server.server_port}/token', service: registry, "
                                                f"issuer: test, rootcertbundle: {self.room}/ca.crt}}}}\n")
        try:
            self.check_access(registry, "token-store")
            assert "repository:a/b:pull" in server.scopes, server.scopes
            assert "repository:c/d:pull,push" in server.scopes, server.scopes
        finally:
            registry.stop()
            server.shutdown()

    def archives(self):
        store = "archive-store"
        self.jigsaw(store, "pull", "-q", f"oci:{self.layout}:v1")
        loaded = "localhost/layout:v1"
        for form in ("docker-archive", "oci-archive"):
            mine, theirs = f"{self.room}/mine-{form}.tar", f"{self.room}/theirs-{form}.tar"
            self.jigsaw(store, "save", "-q", "--format", form, "-o", mine, loaded)
            self.podman("load", "-q", "-i", mine)
            self.podman("save", "-q", "--format", form, "-o", theirs, loaded)
            self.jigsaw(f"{store}-{form}", "load", "-q", "-i", theirs)
            with open(theirs, "rb") as file:
                subprocess.run([self.program, "--root", f"{self.room}/{store}-{form}-2", "load", "-q"], stdin=file, check=True,
                               stdout=subprocess.DEVNULL, timeout=60)
            self.skopeo("copy", "-q", f"{form}:{mine}", f"oci:{self.room}/from-{form}:x")
            layers = sorted(os.listdir(f"{self.room}/{store}/layers"))
            assert sorted(os.listdir(f"{self.room}/{store}-{form}/layers")) == layers, "other layers came back from podman"
        self.jigsaw(store, "copy", "-q", loaded, f"oci:{self.room}/copied:v2")
        sh("umoci", "raw", "unpack", "--image", f"{self.room}/copied:v2", self.room + "/umoci")
        merged = {}
        for key in os.listdir(f"{self.room}/{store}/layers"):
            merged.update(tree(f"{self.room}/{store}/layers/{key}/diff"))
        assert tree(self.room + "/umoci") == merged, "umoci unpacks other files"

    def compression(self):
        registry = Registry(self.room, "compression")
        try:
            self.jigsaw("c1", "pull", "-q", f"oci:{self.layout}:v1")
            self.jigsaw("c1", "save", "-q", "-o", self.room + "/c1.tar", "localhost/layout:v1")
            self.jigsaw("c2", "load", "-q", "-i", self.room + "/c1.tar")  # its layers are plain now, as after a build
            for kind, word in (("gzip", "tar+gzip"), ("zstd", "tar+zstd")):
                target = f"{registry.host}/{kind}/x:1"
                first = self.jigsaw("c2", "push", "-q", "--compression", kind, "localhost/layout:v1", target).stdout
                again = self.jigsaw("c2", "push", "--compression", kind, "localhost/layout:v1", target)
                assert first == again.stdout and "compressing" not in again.stderr, "the second push compresses again"
                manifest = json.loads(self.skopeo("inspect", "--raw", "--tls-verify=false", "docker://" + target).stdout)
                assert all(layer["mediaType"].endswith(word) for layer in manifest["layers"]), manifest
                self.podman("pull", "-q", "--tls-verify=false", target)
                self.jigsaw("c3-" + kind, "pull", "-q", target)
        finally:
            registry.stop()

    def platforms(self):
        registry = Registry(self.room, "platforms")
        try:
            from image_kit import Image
            for architecture in ("amd64", "arm64"):
                Image([{"arch": architecture.encode()}], architecture).write_layout(f"{self.room}/{architecture}", "v1")
                self.jigsaw("platform-store", "pull", "-q", "--platform", "linux/" + architecture, f"oci:{self.room}/{architecture}:v1")
            index = registry.host + "/multi/x:1"
            self.jigsaw("platform-store", "push", "-q", "--with", "localhost/arm64:v1", "localhost/amd64:v1", index)
            raw = json.loads(self.skopeo("inspect", "--raw", "--tls-verify=false", "docker://" + index).stdout)
            assert sorted(entry["platform"]["architecture"] for entry in raw["manifests"]) == ["amd64", "arm64"], raw
            for architecture in ("amd64", "arm64"):
                self.jigsaw("multi-" + architecture, "pull", "-q", "--platform", "linux/" + architecture, index)
                again = self.jigsaw("multi-" + architecture, "pull", "--platform", "linux/" + architecture, index)
                assert "up to date" in again.stderr, again.stderr
            refused = self.jigsaw("multi-amd64", "pull", "--platform", "linux/s390x", index, code=125)
            assert "linux/arm64" in refused.stderr, refused.stderr
            self.jigsaw("platform-store", "copy", "-q", "--all", "docker://" + index, f"docker://{registry.host}/multi/copy:1")
            self.skopeo("copy", "-q", "--all", "--src-tls-verify=false", f"docker://{registry.host}/multi/copy:1", f"oci:{self.room}/all:1")
        finally:
            registry.stop()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bin", required=True)
    arguments.add_argument("--only")
    options = arguments.parse_args()
    program = options.bin + "/jigsaw-transfer"
    missing = [name for name in ("docker-registry", "skopeo", "podman", "umoci", "openssl") if not shutil.which(name)]
    if missing or os.geteuid() != 0 or not os.path.exists(program):
        print(f"skipped: needs root, jigsaw-transfer and {missing}")
        return 77
    with tempfile.TemporaryDirectory(prefix="jigsaw-peers-") as room:
        peers = Peers(program, room)
        for name in ("plain", "tls", "basic", "token", "archives", "compression", "platforms"):
            if options.only and options.only != name:
                continue
            began = time.time()
            try:
                getattr(peers, name)()
                print(f"{name}: ok, {time.time() - began:.1f} s", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                FAILURES.append(name)
                print(f"{name}: FAILED: {error}", flush=True)
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
