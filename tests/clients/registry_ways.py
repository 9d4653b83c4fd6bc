"""The ways to a registry: proxies, client certificates, credential helpers, mounts between repositories, Docker's own formats, and
pulls without root. The registry is docker-registry; what comes out is compared with skopeo and umoci.

    registry_ways.py --bin BUILD/bin [--only NAME]
"""
import argparse
import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

from registry_peers import FAILURES, IMAGE, Registry, damage_of, sh, tree


class Proxy(threading.Thread):
    """Forwards what it is asked to, and remembers the first line of each request."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket, self.asked = socket.create_server(("127.0.0.1", 0)), []
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            client, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            got = client.recv(65536)
            if not got:
                return
            head += got
        method, target, _ = head.split(b"\r\n")[0].decode().split()
        self.asked.append(f"{method} {target}")
        if method == "CONNECT":
            host, port = target.rsplit(":", 1)
            other = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            host, port = target.split("/")[2].rsplit(":", 1)
            other = socket.create_connection((host, int(port)))
            other.sendall(head.replace(f"http://{host}:{port}".encode(), b"", 1))
        threading.Thread(target=self.pump, args=(other, client), daemon=True).start()
        self.pump(client, other)

    @staticmethod
    def pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Ways:
    def __init__(self, program, room):
        self.program, self.room, self.layout = program, room, room + "/layout"
        IMAGE.write_layout(self.layout, "v1")
        sh("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", room + "/key.pem", "-out", room + "/ca.crt", "-days", "2",
           "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")

    def jigsaw(self, store, *words, code=0, env=None, stdin=None):
        return sh(self.program, "--root", f"{self.room}/{store}", *words, code=code, env=env, stdin=stdin)

    def fill(self, registry, name="a/b:1", *options):
        target = f"{registry.host}/{name}"
        sh("skopeo", "--insecure-policy", "copy", "-q", *options, f"oci:{self.layout}:v1", "docker://" + target)
        return target

    def proxies(self):
        registry, proxy = Registry(self.room, "proxied"), Proxy()
        try:
            name = self.fill(registry, "a/b:1", "--dest-tls-verify=false")
            self.jigsaw("p1", "pull", "-q", name, env={"http_proxy": proxy.url, "no_proxy": ""})
            assert any("/manifests/1" in each for each in proxy.asked) and any("/blobs/" in each for each in proxy.asked), proxy.asked
            del proxy.asked[:]
            self.jigsaw("p2", "pull", "-q", name, env={"http_proxy": proxy.url, "no_proxy": "example.org,localhost"})
            assert not proxy.asked, f"a proxy was asked although no_proxy names the host: {proxy.asked}"
        finally:
            registry.stop()

    def client_certificates(self):
        room = self.room
        for words in (["req", "-newkey", "rsa:2048", "-nodes", "-keyout", room + "/me.key", "-out", room + "/me.csr", "-subj", "/CN=me"],
                      ["x509", "-req", "-in", room + "/me.csr", "-CA", room + "/ca.crt", "-CAkey", room + "/key.pem", "-CAcreateserial",
                       "-out", room + "/me.cert", "-days", "2"]):
            sh("openssl", *words)
        os.makedirs(room + "/certs-me")
        os.makedirs(room + "/certs-nobody")
        for target in ("certs-me", "certs-nobody"):
            shutil.copy(room + "/ca.crt", f"{room}/{target}/ca.crt")
        shutil.copy(room + "/me.cert", room + "/certs-me/client.cert")
        shutil.copy(room + "/me.key", room + "/certs-me/client.key")
        registry = Registry(room, "certificates", tls=(room + "/ca.crt", room + f"/key.pem, clientcas: [{room}/ca.crt]"))
        proxy = Proxy()
        try:
            name = self.fill(registry, "a/b:1", "--dest-cert-dir", room + "/certs-me")
            refused = self.jigsaw("t1", "pull", "--cert-dir", room + "/certs-nobody", "--retry", "1", name, code=125)
            assert "error:" in refused.stderr, refused.stderr
            self.jigsaw("t1", "pull", "-q", "--cert-dir", room + "/certs-me", name)
            self.jigsaw("t2", "pull", "-q", "--cert-dir", room + "/certs-me", name, env={"https_proxy": proxy.url, "no_proxy": ""})
            assert proxy.asked and all(each.startswith("CONNECT localhost:") for each in proxy.asked), proxy.asked
            assert not damage_of(room + "/t2")
        finally:
            registry.stop()

    def credential_helpers(self):
        import crypt
        with open(self.room + "/htpasswd", "w") as file:
            file.write("me:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=32)) + "\n")
        registry = Registry(self.room, "helped", f"auth: {{htpasswd: {{realm: test, path: {self.room}/htpasswd}}}}\n")
        tools, notes, config = self.room + "/tools", self.room + "/notes", self.room + "/docker"
        os.makedirs(tools)
        os.makedirs(config)
        with open(tools + "/docker-credential-test", "w") as file:
            file.write(f"""#!/bin/sh
read -r server rest
echo "$1 $server" >> {notes}
case $1 in
  get) [ "$server" = "{registry.host}" ] && echo '{{"ServerURL":"x","Username":"me","Secret":"secret"}}' && exit
       echo "credentials not found in native keychain"; exit 1 ;;
esac
""")
        os.chmod(tools + "/docker-credential-test", 0o755)
        try:
            name = self.fill(registry, "a/b:1", "--dest-tls-verify=false", "--dest-creds", "me:secret")
            path = {"PATH": tools + ":" + os.environ["PATH"], "DOCKER_CONFIG": config, "XDG_RUNTIME_DIR": self.room, "HOME": self.room}
            for number, content in enumerate(({"credHelpers": {registry.host: "test"}}, {"credsStore": "test"})):
                with open(config + "/config.json", "w") as file:
                    json.dump(content, file)
                explained = self.jigsaw(f"h{number}", "pull", "--explain", name, env=path)
                assert "secret" not in explained.stderr, "--explain shows the helper's secret"
            with open(notes) as file:
                assert f"get {registry.host}" in file.read()
            with open(config + "/config.json", "w") as file:
                json.dump({"credHelpers": {registry.host: "missing"}}, file)
            refused = self.jigsaw("h3", "pull", name, env=path, code=125)
            assert "docker-credential-missing" in refused.stderr and "credHelpers" in refused.stderr, refused.stderr
        finally:
            registry.stop()

    def formats_and_mounts(self):
        """Docker's schema 2 from skopeo; a second repository of the same registry takes the layers over instead of receiving them."""
        registry = Registry(self.room, "formats")
        try:
            name = self.fill(registry, "docker/x:1", "--dest-tls-verify=false", "--format", "v2s2")
            self.jigsaw("f1", "pull", "-q", name)
            raw = json.loads(sh("skopeo", "inspect", "--raw", "--tls-verify=false", "docker://" + name).stdout)
            assert "docker" in raw["mediaType"], raw
            mine = self.jigsaw("f1", "push", "--explain", name, f"{registry.host}/docker/y:1").stderr
            theirs = json.loads(sh("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/docker/y:1").stdout)
            assert theirs == raw, "another manifest arrived"
            assert "mount=" in mine and "PATCH" not in mine, "layers were sent although the registry had them"
            self.jigsaw("f1", "unpack", "-q", name, self.room + "/mine")
            sh("skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "docker://" + name, f"oci:{self.room}/as-oci:1")
            sh("umoci", "raw", "unpack", "--image", f"{self.room}/as-oci:1", self.room + "/theirs")
            assert tree(self.room + "/mine") == tree(self.room + "/theirs"), "umoci unpacks other files"
        finally:
            registry.stop()

    def without_root(self):
        """An ordinary user pulls and unpacks; all files are his, and there is nothing that he could not remove."""
        user = next((each for each in pwd.getpwall() if each.pw_name == "nobody"), None)
        registry = Registry(self.room, "rootless")
        home = tempfile.mkdtemp(prefix="jigsaw-ways-home-")
        try:
            name = self.fill(registry, "a/b:1", "--dest-tls-verify=false")
            os.chown(home, user.pw_uid, user.pw_gid)
            run = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "env", "HOME=" + home,
                   "XDG_DATA_HOME=" + home, "XDG_RUNTIME_DIR=" + home + "/run", self.program]
            sh(*run, "pull", "-q", name)
            sh(*run, "unpack", "-q", name, home + "/root")
            self.jigsaw("r1", "pull", "-q", name)
            self.jigsaw("r1", "unpack", "-q", name, self.room + "/as-root")
            strip = lambda found: {path: (kind, content) for path, (kind, _, content) in found.items()}
            assert strip(tree(home + "/root")) == strip(tree(self.room + "/as-root")), "other files than root gets"
            assert {owner for _, owner, _ in tree(home + "/root").values()} == {user.pw_uid}
            assert not damage_of(home + "/jigsaw")
        finally:
            registry.stop()
            shutil.rmtree(home)

    def imports_and_differences(self):
        """import, seen by umoci, and diff."""
        made = self.room + "/made"
        os.makedirs(made + "/etc")
        for path, content in (("etc/motd", "hello"), ("gone", "x")):
            with open(f"{made}/{path}", "w") as file:
                file.write(content)
        os.mkfifo(made + "/pipe")
        sh("tar", "-C", made, "-cf", self.room + "/first.tar", ".")
        os.unlink(made + "/gone")
        with open(made + "/etc/new", "w") as file:
            file.write("new")
        sh("tar", "-C", made, "--zstd", "-cf", self.room + "/second.tar", ".")
        self.jigsaw("e", "import", self.room + "/first.tar", "im/ported:1")
        self.jigsaw("e", "import", self.room + "/second.tar", "im/ported:2")
        changes = self.jigsaw("e", "diff", "im/ported:1", "im/ported:2").stdout.splitlines()
        assert any(line.split() == ["A", "/etc/new"] for line in changes) and any(line.split() == ["D", "/gone"] for line in changes), changes
        sh("umoci", "raw", "unpack", "--image", f"{self.room}/e:docker.io/im/ported:2", self.room + "/ported")
        assert tree(self.room + "/ported") == tree(made), "umoci sees other files than were imported"
        assert stat.S_ISFIFO(os.lstat(self.room + "/ported/pipe").st_mode)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bin", required=True)
    arguments.add_argument("--only")
    options = arguments.parse_args()
    program = options.bin + "/jigsaw"
    missing = [name for name in ("docker-registry", "skopeo", "umoci", "openssl", "setpriv") if not shutil.which(name)]
    if missing or os.geteuid() != 0 or not os.path.exists(options.bin + "/jigsaw-transfer"):
        print(f"skipped: needs root, jigsaw-transfer and {missing}")
        return 77
    with tempfile.TemporaryDirectory(prefix="jigsaw-ways-") as room:
        os.chmod(room, 0o755)
        ways = Ways(program, room)
        for name in ("proxies", "client_certificates", "credential_helpers", "formats_and_mounts", "without_root", "imports_and_differences"):
            if options.only and options.only != name:
                continue
            began = time.time()
            try:
                getattr(ways, name)()
                print(f"{name}: ok, {time.time() - began:.1f} s", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                FAILURES.append(name)
                print(f"{name}: FAILED: {error}", flush=True)
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
