#!/usr/bin/env python3
"""Archives of images (docker save, oci-archive) that are odd or lie: what `load` and `copy` make of each.

The outcome is the picture of the root file system (layer_kit.py), the same by both ways, or refused: an error, nothing in the store.
"""
import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time

from layer_kit import (CONFIG, LAYER, MANIFEST, Layout, archive, entry, file, folder, gzipped, hardlink, pax, picture, sha256, symlink, text_of)

ONE, TWO = archive(file("a", "1")), archive(file("b", "2"))
BOTH = "f a=1; f b=2"


def config(*layers, **more):
    return text_of({"architecture": "amd64", "os": "linux", "config": {},
                    "rootfs": {"type": "layers", "diff_ids": [sha256(each) for each in layers]}, **more})


def listed(layers=("1.tar", "2.tar"), names=("x/y:t",), config="c.json"):
    return file("manifest.json", text_of([{"Config": config, "RepoTags": names, "Layers": layers}]))


def saved(*members, config_text=config(ONE, TWO), listing=listed()):
    """A docker-archive; without members its two layers as usual."""
    return archive(file("c.json", config_text), *(members or (file("1.tar", ONE), file("2.tar", TWO))), listing)


def by_pax_size(name, data):
    """As Go writes what has 8 GiB and more: the field in the header is 0."""
    return pax({"size": str(len(data))}) + entry(name, b"0", data, size=0)


def oci(change=lambda members: members):
    with tempfile.TemporaryDirectory() as directory:
        Layout(directory + "/l").image([ONE, TWO])
        members = {os.path.relpath(os.path.join(above, each), directory + "/l"): open(os.path.join(above, each), "rb").read()
                   for above, _, files in os.walk(directory + "/l") for each in files}
    return archive(*(file(name, data) for name, data in change(members).items()))


def with_entries(change):
    """An oci-archive whose index.json has other entries."""
    def changed(members):
        index = json.loads(members["index.json"])
        return {**members, "index.json": text_of({**index, "manifests": change(index["manifests"])})}
    return oci(changed)


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


CASES = [
    ("an archive", saved(), BOTH),
    ("an archive packed with gzip", gzip.compress(saved(), 1), BOTH),
    ("an archive packed with zstd", zstd(saved()), BOTH),
    ("layers that are packed", saved(file("1.tar", gzipped(ONE)), file("2.tar", zstd(TWO))), BOTH),
    ("an image without layers, as docker writes it", saved(config_text=config(), listing=listed(layers=None)), ""),
    ("no names", saved(listing=listed(names=None)), BOTH),
    ("members as ./name", archive(file("./c.json", config(ONE)), file("./1.tar", ONE), file("./manifest.json",
     text_of([{"Config": "c.json", "RepoTags": ["x/y:t"], "Layers": ["1.tar"]}]))), "f a=1"),
    ("members in directories, as docker 20 writes them", saved(folder("i"), file("i/layer.tar", ONE), file("i/VERSION", "1.0"), file("2.tar", TWO),
     listing=listed(("i/layer.tar", "2.tar"))), BOTH),
    ("a layer that is a link to another, as docker writes a repeated one", saved(folder("i"), file("i/layer.tar", ONE), folder("k"),
     symlink("k/layer.tar", "../i/layer.tar"), config_text=config(ONE, ONE), listing=listed(("i/layer.tar", "k/layer.tar"))), "f a=1"),
    ("a layer that is a hard link", saved(file("1.tar", ONE), hardlink("2.tar", "1.tar"), config_text=config(ONE, ONE)), "f a=1"),
    ("a layer whose size only PAX can say", saved(by_pax_size("1.tar", ONE), by_pax_size("2.tar", TWO)), BOTH),
    ("a PAX size beyond the archive's end", saved(pax({"size": str(1 << 40)}) + entry("1.tar", b"0", ONE, size=0)), "refused"),
    ("a layer that is a link out", saved(symlink("1.tar", "/etc/passwd"), file("2.tar", TWO)), "refused"),
    ("a layer that is a link in a circle", saved(symlink("1.tar", "3.tar"), symlink("3.tar", "1.tar"), file("2.tar", TWO)), "refused"),
    ("a layer's name that climbs out", saved(listing=listed(("../../../../../../../../etc/passwd", "2.tar"))), "refused"),
    ("a layer that is not there", saved(listing=listed(("1.tar", "3.tar"))), "refused"),
    ("a layer that is another", saved(file("1.tar", TWO), file("2.tar", TWO)), "refused"),
    ("fewer layers than diff_ids", saved(listing=listed(("1.tar",))), "refused"),
    ("a config that is not there", saved(listing=listed(config="d.json")), "refused"),
    ("a name that is none", saved(listing=listed(names=("../x",))), "refused"),
    ("a name that is no string", saved(listing=listed(names=(5,))), "refused"),
    ("a list that is no list", saved(listing=file("manifest.json", b"{}")), "refused"),
    ("a list of no images", saved(listing=file("manifest.json", b"[]")), "refused"),
    ("an archive cut off", saved()[:-2048], "refused"),
    ("an archive without a list", archive(file("c.json", config()), file("1.tar", ONE)), "refused"),
    ("no archive", b"<html>not found</html>", "refused"),
    ("an empty file", b"", "refused"),
    ("an oci-archive", oci(), BOTH),
    ("an oci-archive packed with gzip", gzip.compress(oci(), 1), BOTH),
    ("an oci-archive with members as ./name", oci(lambda all: {"./" + name: data for name, data in all.items()}), BOTH),
    ("an oci-archive whose blobs hold one another's content", oci(lambda all: {**all, f"blobs/sha256/{sha256(ONE)[7:]}": TWO}), "refused"),
    ("an oci-archive without a layer", oci(lambda all: {name: data for name, data in all.items() if sha256(ONE)[7:] not in name}), "refused"),
    ("an oci-archive with a signature beside the image",
     with_entries(lambda all: [{**all[0], "digest": sha256(b"{}"), "size": 2, "artifactType": "application/vnd.example.signature", "annotations": {}},
                               *all]), BOTH, {"copy": "refused"}),  # copy is asked which of the two
    ("an oci-archive with a signature alone", with_entries(lambda all: [{**all[0], "artifactType": "application/vnd.example.signature"}]), "refused",
     {"copy": BOTH}),
    ("an oci-archive of no images", with_entries(lambda all: []), "refused"),
    ("an oci-archive without its mark", oci(lambda all: {name: data for name, data in all.items() if name != "oci-layout"}), "refused"),
]


class Room:
    def __init__(self, programs, directory):
        self.program, self.directory = programs + "/jigsaw", directory

    def run(self, store, *words):
        """What went wrong, if anything did: refused, or worse."""
        try:
            done = subprocess.run([self.program, "--root", store, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
        except subprocess.TimeoutExpired:
            return "hangs", ""
        worse = done.returncode < 0 or (done.returncode and b"error: " not in done.stderr)
        return "crashes" if worse else "refused" if done.returncode else "", done.stdout.decode()

    def load(self, archive_file, place, began):
        store = place + ".store"
        failed, said = self.run(store, "load", "-q", "-i", archive_file)
        if failed:
            left = os.listdir(store + "/tmp") if os.path.isdir(store + "/tmp") else []
            return failed + (f" and left {left}" if left else "")
        name = said.strip().removeprefix("loaded ")
        return self.run(store, "unpack", "-q", name, place)[0] or picture(place, began)

    def copy(self, archive_file, place, began):
        transport = "oci-archive" if b"oci-layout" in open(archive_file + ".plain", "rb").read() else "docker-archive"
        store = place + ".store"
        return (self.run(store, "copy", "-q", f"{transport}:{archive_file}", f"oci:{place}.layout:t")[0] or
                self.run(store, "unpack", "-q", f"oci:{place}.layout:t", place)[0] or picture(place, began))


def copied_as_it_is(room):
    """manifest.md: a layer of a type that is not known is no error; only who unpacks it has to know."""
    source, target = room.directory + "/encrypted", room.directory + "/copied"
    layout = Layout(source)
    layers = [layout.blob(b"who knows", LAYER + "+gzip+encrypted"), layout.blob(TWO, LAYER)]
    layout.finish(layout.blob(text_of(layout.manifest(layers, layout.blob(config(ONE, TWO), CONFIG))), MANIFEST))
    failed = room.run(room.directory + "/store", "copy", "-q", f"oci:{source}:t", f"oci:{target}:t")[0]
    same = not failed and sorted(os.listdir(source + "/blobs/sha256")) == sorted(os.listdir(target + "/blobs/sha256"))
    refused = room.run(room.directory + "/store", "unpack", "-q", f"oci:{source}:t", room.directory + "/unpacked")[0]
    return [] if same and refused == "refused" else [f"an encrypted layer: copy {failed or same}, unpack {refused}"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("owners need root")
        return 77
    failures, count = [], 0
    with tempfile.TemporaryDirectory(prefix="jigsaw-archives-") as directory:
        room = Room(options.bin, directory)
        failures += copied_as_it_is(room)
        for name, content, usual, *other in [case for case in CASES if options.only in case[0]]:
            count += 1
            path = f"{directory}/{count}"
            with open(path, "wb") as out:
                out.write(content)
            for way in (room.load, room.copy):
                with open(path + ".plain", "wb") as out:
                    out.write(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
                got = way(path, f"{path}-{way.__name__}", time.time())
                expected = other[0].get(way.__name__, usual) if other else usual
                if got != expected:
                    failures.append(f"{name}: {way.__name__}\n    expected {expected}\n    got      {got}")
    print(*failures, sep="\n")
    print(f"{count} archives, {len(failures)} outcomes that are not as expected")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
