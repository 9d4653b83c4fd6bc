"""Pull and push, with the peers side by side: jigsaw, podman, skopeo with umoci, and a shell pipeline for each layer.

    images.py --bin BUILD/bin [--room DIR] [--disk DIR] [--full] [--runs N]

The image is made from this machine's own files, in four layers; --full takes about 850 MB of them, or more where /usr/bin is
large. One registry on loopback (docker-registry). Everything is below --room (default: a new directory in /dev/shm, a tmpfs);
jigsaw's pull and the pipeline's are repeated below --disk (default: /var/tmp). What is pushed as it was built is compressed on
the way; what was pulled goes back as it came, and podman compresses it anew.
"""
import argparse
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SMALL = [["/etc"], ["/usr/include/linux", "/usr/include/x86_64-linux-gnu"], ["/usr/share/man"], ["/usr/lib/python3"]]
FULL = [["/etc", "/usr/bin", "/usr/sbin", "/usr/lib/systemd"], ["/usr/include", "/usr/lib/gcc"],
        ["/usr/share/doc", "/usr/share/man"], ["/usr/lib/python3", "/usr/lib/python3.11"]]
PIPELINE = r'''
set -e; registry=$1; name=$2; out=$3
curl -s -H "Accept: application/vnd.oci.image.manifest.v1+json" http://$registry/v2/$name/manifests/1 > $out/manifest.json
for digest in $(jq -r '.layers[].digest' $out/manifest.json); do
  mkdir -p $out/$digest
  curl -s http://$registry/v2/$name/blobs/$digest | tee >(openssl dgst -sha256 > $out/$digest.blob) | igzip -dc |
    tee >(openssl dgst -sha256 > $out/$digest.diff) | tar x -C $out/$digest &
done
wait
'''


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def timed(body, runs, before):
    walls = []
    for _ in range(runs):
        before()
        began = time.monotonic()
        body()
        walls.append(time.monotonic() - began)
    return statistics.median(walls)


def pulls_on_disk(disk, runs, pull, pipeline):
    """Jigsaw's and the pipeline's by turns, each in a directory of its own. Nothing is removed before the end: ext4 passes over
    inodes that were freed within the last minutes one by one, and would measure that."""
    with tempfile.TemporaryDirectory(prefix="jigsaw-bench-", dir=disk) as place:
        walls = {"jigsaw": [], "pipeline": []}
        for number in range(runs):
            for name, body in (("jigsaw", pull), ("pipeline", pipeline)):
                os.sync()
                began = time.monotonic()
                body(f"{place}/{name}-{number}")
                walls[name].append(time.monotonic() - began)
        mine, other = (statistics.median(walls[name]) for name in ("jigsaw", "pipeline"))
        print(f"pull  on the disk: jigsaw {mine:.2f} s, pipeline {other:.2f} s   jigsaw takes {mine / other:.2f} of it", flush=True)


def make_layout(room, layers):
    """An image layout with gzip layers."""
    layout = room + "/layout"
    os.makedirs(layout + "/blobs/sha256")
    descriptors, diff_ids, total = [], [], 0

    def add(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{layout}/blobs/sha256/{digest}", "wb") as file:
            file.write(data)
        return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + digest, "size": len(data)}

    for paths in layers:
        tar = subprocess.run(["tar", "c", "--sort=name", "-C", "/", *[path[1:] for path in paths if os.path.exists(path)]],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        diff_ids.append("sha256:" + hashlib.sha256(tar).hexdigest())
        total += len(tar)
        packed = subprocess.run(["gzip", "-6n"], input=tar, stdout=subprocess.PIPE, check=True).stdout
        descriptors.append(add(packed, "layer.v1.tar+gzip"))
    config = add(json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode(),
                 "config.v1+json")
    manifest = add(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                               "config": config, "layers": descriptors}).encode(), "manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    with open(layout + "/index.json", "w") as file:
        json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)
    with open(layout + "/oci-layout", "w") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')
    print(f"image: {total / 1e6:.0f} MB in {len(layers)} layers, {sum(each['size'] for each in descriptors) / 1e6:.0f} MB compressed")


def start_registry(room, name="registry"):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(f"{room}/{name}.yml", "w") as file:
        file.write(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {room}/{name}}}, "
                   f"delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n")
    process = subprocess.Popen(["docker-registry", "serve", f"{room}/{name}.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, f"127.0.0.1:{port}"
        time.sleep(0.05)
    raise SystemExit("docker-registry does not start")


def registry_bytes(room, repository, registry):
    text = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry}/{repository}"],
                          capture_output=True, check=True).stdout
    return sum(layer["size"] for layer in json.loads(text)["layers"])


def bench(options, room):
    make_layout(room, FULL if options.full else SMALL)
    process, registry = start_registry(room)
    second = None
    jigsaw = [options.bin + "/jigsaw-transfer", "--root", room + "/jigsaw"]
    podman = ["podman", "--root", room + "/podman/root", "--runroot", room + "/podman/run", "--tmpdir", room + "/podman/tmp", "--storage-driver", "overlay"]
    name = registry + "/bench/image:1"
    try:
        run("skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", f"oci:{room}/layout:1", "docker://" + name)

        def wipe(*names):
            def body():
                for each in names:
                    shutil.rmtree(f"{room}/{each}", ignore_errors=True)
            return body

        def pipeline(place=room + "/pipeline"):
            os.makedirs(place)
            run("bash", "-c", PIPELINE, "sh", registry, "bench/image", place)

        def skopeo_umoci():
            run("skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "docker://" + name, f"oci:{room}/umoci-layout:1")
            run("umoci", "raw", "unpack", "--image", f"{room}/umoci-layout:1", room + "/umoci-root", stderr=subprocess.DEVNULL)

        pulls = {
            "jigsaw": (lambda: run(*jigsaw, "pull", "-q", name), wipe("jigsaw")),
            "pipeline": (pipeline, wipe("pipeline")),
            "podman": (lambda: run(*podman, "pull", "-q", "--tls-verify=false", name), wipe("podman")),
            "skopeo+umoci": (skopeo_umoci, wipe("umoci-layout", "umoci-root")),
        }
        times = {}
        for peer, (body, before) in pulls.items():
            times[peer] = timed(body, options.runs, before)
            share = "" if peer == "jigsaw" else f"   jigsaw takes {times['jigsaw'] / times[peer]:.2f} of it"
            print(f"pull  {peer:14} {times[peer]:6.2f} s{share}", flush=True)
        again = timed(lambda: run(*jigsaw, "pull", "-q", name), 3, lambda: None)
        print(f"pull  again, unchanged: {again * 1000:.0f} ms")

        pulls_on_disk(options.disk, max(options.runs, 2), lambda place: run(*jigsaw[:2], place, "pull", "-q", name), pipeline)

        # Push what was built here: plain layers. `save` and `load` make them plain in the store. To a registry that knows
        # none of them: podman remembers where it has seen a layer.
        second, registry = start_registry(room, "registry-2")
        run(*jigsaw, "save", "-q", "-o", room + "/plain.tar", name)
        built = [options.bin + "/jigsaw-transfer", "--root", room + "/built"]
        run(*built, "load", "-q", "-i", room + "/plain.tar")
        counter = iter(range(1000))

        def push(kind):
            def body():
                for notes in [each for each in os.listdir(room + "/built/layers")]:
                    for note in os.listdir(f"{room}/built/layers/{notes}"):
                        if note.startswith("packed-"):
                            os.unlink(f"{room}/built/layers/{notes}/{note}")
                run(*built, "push", "-q", "--compression", kind, name, f"docker://{registry}/push/jigsaw-{kind}-{next(counter)}:1")
            return body

        push_times = {kind: timed(push(kind), options.runs, lambda: None) for kind in ("gzip", "zstd")}
        sizes = {kind: registry_bytes(room, f"push/jigsaw-{kind}-{n}:1", registry) for kind, n in
                 (("gzip", options.runs - 1), ("zstd", 2 * options.runs - 1))}
        pulled_push = timed(lambda: run(*jigsaw, "push", "-q", name, f"docker://{registry}/push/jigsaw-pulled-{next(counter)}:1"), 1, lambda: None)
        podman_push = timed(lambda: run(*podman, "push", "-q", "--tls-verify=false", name, f"docker://{registry}/push/podman-{next(counter)}:1"), 1, lambda: None)
        podman_size = registry_bytes(room, f"push/podman-{next(counter) - 1}:1", registry)
        print(f"push  podman         {podman_push:6.2f} s  {podman_size / 1e6:.1f} MB")
        print(f"push  jigsaw, as pulled  {pulled_push:6.2f} s   {pulled_push / podman_push:.2f} of podman's time")
        for kind in push_times:
            print(f"push  jigsaw {kind:6}  {push_times[kind]:6.2f} s  {sizes[kind] / 1e6:.1f} MB   {push_times[kind] / podman_push:.2f} of podman's time, "
                  f"{sizes[kind] / podman_size:.2f} of its bytes")
    finally:
        for each in filter(None, (process, second)):
            each.kill()
            each.wait()
        subprocess.run(["umount", "-q", room + "/podman/root/overlay"], stderr=subprocess.DEVNULL)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bin", required=True)
    arguments.add_argument("--room", default="/dev/shm")
    arguments.add_argument("--disk", default="/var/tmp")
    arguments.add_argument("--full", action="store_true")
    arguments.add_argument("--runs", type=int, default=1)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="jigsaw-bench-", dir=options.room) as room:
        bench(options, room)
    return 0


if __name__ == "__main__":
    sys.exit(main())
