"""Small images as OCI layouts, and what tests ask of a store. Used by the registry tests in faults/ and clients/."""
import gzip
import hashlib
import http.server
import io
import json
import os
import tarfile
import threading

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
INDEX = "application/vnd.oci.image.index.v1+json"


class LoopbackServer(http.server.ThreadingHTTPServer):
    """Serves on a free port of 127.0.0.1, in threads of its own, and is quiet about clients that go away."""
    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def host(self):
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        root = tarfile.TarInfo("./")
        root.type, root.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(root)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Image:
    """blobs: digest -> bytes; manifest: its text."""

    def __init__(self, layers, architecture="amd64", pack=lambda plain: gzip.compress(plain, 6, mtime=0)):
        self.blobs, descriptors, diff_ids = {}, [], []
        for files in layers:
            plain = tar_of(files)
            packed = pack(plain)
            diff_ids.append(sha256(plain))
            descriptors.append(self.add(packed, LAYER))
        config = {"architecture": architecture, "os": "linux", "config": {"Cmd": ["/bin/sh"]},
                  "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        self.document = {"schemaVersion": 2, "mediaType": MANIFEST,
                         "config": self.add(json.dumps(config).encode(), CONFIG), "layers": descriptors}
        self.layers = [each["digest"] for each in descriptors]

    def add(self, data, media_type):
        self.blobs[sha256(data)] = data
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}

    @property
    def manifest(self):
        return json.dumps(self.document).encode()

    def write_layout(self, directory, tag):
        os.makedirs(directory + "/blobs/sha256", exist_ok=True)
        for digest, data in [*self.blobs.items(), (sha256(self.manifest), self.manifest)]:
            with open(f"{directory}/blobs/sha256/{digest[7:]}", "wb") as file:
                file.write(data)
        entry = {"mediaType": MANIFEST, "digest": sha256(self.manifest), "size": len(self.manifest),
                 "annotations": {"org.opencontainers.image.ref.name": tag}}
        with open(directory + "/index.json", "w") as file:
            json.dump({"schemaVersion": 2, "manifests": [entry]}, file)
        with open(directory + "/oci-layout", "w") as file:
            file.write('{"imageLayoutVersion":"1.0.0"}')


def random_image(layers=3, size=300_000, seed=1):
    """Layers that compress little, so that blobs are about as large as `size`."""
    import random
    source = random.Random(seed)
    return Image([{f"file-{i}": source.randbytes(size), f"text-{i}": b"layer %d\n" % i} for i in range(layers)])


def damage_of(store):
    """What is wrong with a store: blobs that are not what their name says, work left over, tags that lead nowhere."""
    problems = []
    if not os.path.isdir(store):
        return problems
    for name in os.listdir(store + "/blobs/sha256"):
        with open(f"{store}/blobs/sha256/{name}", "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != name:
                problems.append(f"blob {name[:12]} has another digest")
    for name in os.listdir(store + "/tmp"):
        problems.append(f"tmp/{name} is left over")
    with open(store + "/index.json") as file:
        for entry in json.load(file)["manifests"]:
            if not os.path.exists(f"{store}/blobs/sha256/{entry['digest'][7:]}"):
                problems.append("a tag leads nowhere")
    return problems


def tags_of(store):
    with open(store + "/index.json") as file:
        return [entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in json.load(file)["manifests"]]


def unneeded(store):
    """What lies in a store although no tag leads to it."""
    def read(digest):
        with open(f"{store}/blobs/{digest.replace(':', '/')}", "rb") as opened:
            return json.load(opened)
    blobs, layers = set(), set()
    with open(store + "/index.json") as opened:
        entries = json.load(opened)["manifests"]
    for entry in entries:
        manifest = read(entry["digest"])
        blobs |= {entry["digest"], manifest["config"]["digest"]} | {each["digest"] for each in manifest["layers"]}
        chain = ""
        for diff_id in read(manifest["config"]["digest"])["rootfs"]["diff_ids"]:
            chain = sha256(f"{chain} {diff_id}".encode()) if chain else diff_id
            layers |= {diff_id[7:], chain[7:]}
    return ([f"blob {each[:12]}" for each in os.listdir(store + "/blobs/sha256") if "sha256:" + each not in blobs] +
            [f"layer {each[:12]}" for each in os.listdir(store + "/layers") if each not in layers] +
            [f"tmp/{each}" for each in os.listdir(store + "/tmp")] +
            [f"locks/{each}" for each in os.listdir(store + "/locks") if each.startswith("content-")])
