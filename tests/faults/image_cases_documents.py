"""More documents that are odd or lie: JSON that readers take differently, digests and sizes, indexes, layouts. Each case as in image_cases.py."""
import hashlib
import json
import os

from image_cases import (BOTH, DOCKER_LIST, HOST, ONE, OTHERWISE, TWO, changed, diff_ids, first, image, index, without)
from layer_cases_archive import A, zstd
from layer_kit import CONFIG, INDEX, LAYER, MANIFEST, gzipped, sha256, text_of

MISSING = "sha256:" + "0" * 64
FOREIGN = "blake3:" + "a" * 64  # well formed, of an algorithm that few know
LONG_S = "\u017f"               # which Go's reader takes for an s


def by_sha512(layout):
    def blob(data, media_type):
        digest = "sha512:" + hashlib.sha512(data).hexdigest()
        os.makedirs(layout.directory + "/blobs/sha512", exist_ok=True)
        with open(f"{layout.directory}/blobs/{digest.replace(':', '/')}", "wb") as out:
            out.write(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}
    config = blob(text_of(layout.config(["sha512:" + hashlib.sha512(each).hexdigest() for each in (ONE, TWO)])), CONFIG)
    layout.finish(blob(text_of(layout.manifest([blob(each, LAYER) for each in (ONE, TWO)], config)), MANIFEST))


def mixed(layout):
    config = layout.blob(text_of(layout.config([sha256(each) for each in (ONE, TWO, A)])), CONFIG)
    layers = [layout.blob(gzipped(ONE), LAYER + "+gzip"), layout.blob(zstd(TWO), LAYER + "+zstd"), layout.blob(A, LAYER)]
    layout.finish(layout.blob(text_of(layout.manifest(layers, config)), MANIFEST))


def with_size(literal):
    """The first layer's size, written so."""
    def text(whole):
        start = whole.index(b'"size": ', whole.index(b'"layers"')) + 8
        end = start
        while whole[end:end + 1].isdigit():
            end += 1
        return whole[:start] + literal + whole[end:]
    return image(text=text)


def member(text):
    """The manifest with one member more."""
    return image(text=lambda whole: whole[:-1] + b", " + text.encode() + b"}")


def digests(change):
    return image(layer=lambda number, blob: {**blob, "digest": change(blob["digest"])})


def in_index(*entries, **more):
    return image(root=lambda layout, found: layout.blob(text_of(index(*[each(layout, found) for each in entries], **more)), INDEX))


def ours(**more):
    return lambda layout, found: {**found, **HOST, **more}


def no_platform(layout, found):
    return found


def on(architecture, variant=None, os_name="linux"):
    return {"platform": {"architecture": architecture, "os": os_name} | ({"variant": variant} if variant else {})}


def other(**more):
    """An entry that leads to no image."""
    return lambda layout, found: {**layout.blob(b"{}", MANIFEST), **more}


def another_image(layout, found):
    config = layout.blob(text_of(layout.config([sha256(A)])), CONFIG)
    return {**layout.blob(text_of(layout.manifest([layout.blob(A, LAYER)], config)), MANIFEST), **HOST}


def then(action):
    def build(layout):
        image()(layout)
        action(layout.directory)
    return build


def instead(name, make):
    """Another kind of file in the layout: `name` is a path, or what finds one."""
    def action(directory):
        path = f"{directory}/{name if isinstance(name, str) else name(directory)}"
        os.unlink(path)
        make(path)
    return then(action)


def read(directory, digest=None):
    with open(f"{directory}/" + (f"blobs/{digest.replace(':', '/')}" if digest else "index.json"), "rb") as opened:
        return json.load(opened)


def manifest_of(directory):
    return "blobs/" + read(directory)["manifests"][0]["digest"].replace(":", "/")


def config_of(directory):
    return "blobs/" + read(directory, read(directory)["manifests"][0]["digest"])["config"]["digest"].replace(":", "/")


def edited(change):
    def action(directory):
        text = text_of(change(read(directory)))
        with open(directory + "/index.json", "wb") as out:
            out.write(text)
    return then(action)


def and_entry(**more):
    name = {"annotations": {"org.opencontainers.image.ref.name": more.pop("name", "other")}}
    return edited(lambda document: {**document, "manifests": [*document["manifests"], {**document["manifests"][0], **name, **more}]})


def zeros(path):
    os.symlink("/dev/zero", path)


NULLS = {key: None for key in ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal", "Healthcheck",
                               "Shell", "OnBuild", "ArgsEscaped")}

CASES = [
    # Digests
    ("sha512 throughout", by_sha512, BOTH, {"umoci": OTHERWISE}),
    ("layers packed in three ways", mixed, "f a=x; f b=2", {"umoci": OTHERWISE}),
    ("an algorithm in capitals", digests(lambda digest: digest.replace("sha", "SHA")), "refused"),
    ("a digest with a newline", digests(lambda digest: digest + "\n"), "refused"),
    ("sha512 with the digits of sha256", digests(lambda digest: digest.replace("256", "512")), "refused"),
    ("sha384", image(layer=lambda number, blob: {**blob, "digest": "sha384:" + hashlib.sha384((ONE, TWO)[number]).hexdigest()}), "refused"),
    ("a subject of an algorithm that is not known", image(manifest=changed(subject={"mediaType": MANIFEST, "digest": FOREIGN, "size": 5})), BOTH),
    ("a subject that is no descriptor", image(manifest=changed(subject={"digest": 1})), "refused", {"umoci": OTHERWISE}),
    ("a diff_id of the packed layer", lambda layout: layout.image([(gzipped(ONE), ONE)], [sha256(gzipped(ONE))]), "refused"),
    ("diff_ids in capitals", image(config=diff_ids(lambda ids: [each.upper().replace("SHA", "sha") for each in ids])), "refused"),
    ("diff_ids that are null", image(config=diff_ids(lambda ids: [None, *ids[1:]])), "refused"),
    # Sizes
    *((f"a size of {literal.decode()}", with_size(literal), "refused") for literal in
      (b"2048.0", b"2.048e3", b"-0", b"0", b"02048", b"true", b"null", b"9223372036854775808", b"18446744073709553664")),
    ("a size one too large", image(layer=lambda number, blob: {**blob, "size": blob["size"] + 1}), "refused"),
    ("a config's size one too large", image(descriptor=lambda blob: {**blob, "size": blob["size"] + 1}), "refused"),
    ("a manifest's size one too small", image(root=lambda layout, found: {**found, "size": found["size"] - 1}), "refused"),
    # JSON
    ("two manifests in one text", image(text=lambda whole: whole + whole), "refused", {"umoci": OTHERWISE}),
    ("a manifest with a NUL behind", image(text=lambda whole: whole + b"\0"), "refused", {"umoci": OTHERWISE}),
    ("a manifest with a NUL and another behind", image(text=lambda whole: whole + b"\0" + whole), "refused", {"umoci": OTHERWISE}),
    ("a manifest in UTF-16", image(text=lambda whole: whole.decode().encode("utf-16")), "refused"),
    ("a manifest with a comment", image(text=lambda whole: b"/* x */" + whole), "refused"),
    ("a comma too many", image(text=lambda whole: whole[:-1] + b",}"), "refused"),
    ("NaN", member('"x": NaN'), "refused"),
    ("a control character in a string", member('"x": "a\x01b"'), "refused"),
    ("a number that no computer holds", member('"x": 99999999999999999999999999'), BOTH),
    ("a key twice, once in escapes", member('"\\u006cayers": []'), "refused", {"umoci": OTHERWISE}),
    ("a key with a long s", member(f'"layer{LONG_S}": []'), "refused", {"umoci": OTHERWISE}),
    ("a key with a long s in escapes", member('"layer\\u017f": []'), "refused", {"umoci": OTHERWISE}),
    ("diff_ids with a long s", image(config=lambda c: {**c, "rootfs": {**c["rootfs"], f"diff_id{LONG_S}": []}}), "refused", {"umoci": OTHERWISE}),
    ("a digest twice", image(text=lambda whole: whole.replace(b'"size"', f'"digest": "{MISSING}", "size"'.encode())), "refused"),
    ("a digest and a Digest", image(text=lambda whole: whole.replace(b'"size"', f'"Digest": "{MISSING}", "size"'.encode())), "refused"),
    *((f"a manifest that is {text.decode() or 'empty'}", image(text=lambda whole, text=text: text), "refused")
      for text in (b"null", b"2", b'"manifest"', b"", b"  ")),
    # Fields
    ("a layer that is null", image(manifest=lambda m: {**m, "layers": [None, *m["layers"]]}), "refused"),
    ("a layer that says it is a manifest", image(layer=first(mediaType=MANIFEST)), "refused"),
    ("a config that says it is a layer", image(config_type=LAYER), "refused"),
    ("a config that is a layer", image(descriptor=lambda blob: {"mediaType": CONFIG, "digest": sha256(ONE), "size": len(ONE)}), "refused"),
    ("content in descriptors that lies", image(layer=first(data="Zm9yZ2Vk"), descriptor=changed(data="e30=")), BOTH),
    ("nulls in a descriptor", image(layer=first(urls=None, annotations=None, data=None, platform=None)), BOTH),
    ("nulls in a config", image(config=changed(created=None, author=None, variant=None, history=None, config=NULLS)), BOTH),
    ("a media type that is null", image(manifest=changed(mediaType=None)), BOTH),
    ("an image that is an artifact too", image(manifest=changed(artifactType="application/vnd.example+type")), BOTH),
    ("a history that leaves layers out", image(config=changed(history=[{"empty_layer": True}] * 3)), BOTH),
    ("a history that is no list", image(config=changed(history={})), "refused"),
    *((f"a config made {time}", image(config=changed(created=time)), "refused")
      for time in ("yesterday", "", "2024-05-01", "2024-13-01T00:00:00Z", "2024-05-01T24:00:00Z", "2024-05-01T00:00:00", "2024-05-01t00:00:00z", 5)),
    *((f"a config made {time}", image(config=changed(created=time)), BOTH)
      for time in ("0001-01-01T00:00:00Z", "2024-05-01T10:20:30.123456789+02:00")),
    ("a step made yesterday", image(config=changed(history=[{"created": "yesterday"}])), "refused"),
    *((f"{key} that is {value!r}", image(config=changed(config={key: value})), "refused", {"umoci": OTHERWISE}) for key, value in
      {"ExposedPorts": ["80/tcp"], "Labels": {"a": 1}, "User": 0, "Entrypoint": "/bin/sh", "Healthcheck": []}.items()),
    # Indexes
    ("an entry of an algorithm that is not known", in_index(other(digest=FOREIGN, **on("s390x")), ours()), BOTH, {"umoci": OTHERWISE}),
    ("only an entry of an algorithm that is not known", in_index(ours(digest=FOREIGN)), "refused"),
    ("an entry of a type that is not known, for our machine", in_index(other(mediaType="application/vnd.example.v9+json", **HOST), ours()), BOTH,
     {"umoci": OTHERWISE}),
    ("an artifact for our machine before the image", in_index(other(artifactType="application/vnd.example+type", **HOST), ours()), BOTH,
     {"umoci": OTHERWISE}),
    ("an entry without a platform beside others", in_index(other(**on("s390x")), no_platform), BOTH, {"umoci": OTHERWISE}),
    ("an entry whose platform is null", in_index(ours(platform=None)), BOTH),
    ("an index without a platform beside others",
     in_index(other(**on("s390x")), lambda layout, found: layout.blob(text_of(index({**found, **HOST})), INDEX)), BOTH, {"umoci": OTHERWISE}),
    ("the first variant of our machine", in_index(other(**on("s390x")), ours(**on("amd64", "v1"))), BOTH, {"umoci": OTHERWISE}),
    ("a later variant of our machine before it", in_index(other(**on("amd64", "v3")), ours()), BOTH, {"umoci": OTHERWISE}),
    ("machines nearly ours", in_index(other(**on("arm", "v7")), other(**on("arm64", "v8")), other(**on("amd64", os_name="windows")), ours()), BOTH,
     {"umoci": OTHERWISE}),
    ("two images for our machine, the first counts", in_index(ours(), another_image), BOTH, {"umoci": OTHERWISE}),
    ("features that a platform asks for",
     in_index(ours(platform={**HOST["platform"], "os.features": ["x"], "os.version": "1.2", "features": ["y"]})), BOTH),
    ("an entry that is null", image(root=lambda layout, found: layout.blob(text_of(index(None, {**found, **HOST})), INDEX)), "refused",
     {"umoci": OTHERWISE}),
    ("an entry whose size is wrong", in_index(lambda layout, found: {**found, "size": found["size"] + 1, **HOST}), "refused"),
    ("an index that says it is Docker's list", in_index(ours(), mediaType=DOCKER_LIST), "refused", {"umoci": OTHERWISE}),
    ("an index with a subject", in_index(ours(), subject={"mediaType": MANIFEST, "digest": MISSING, "size": 5}, artifactType="x/y"), BOTH),
    # Layouts
    ("a tag of an algorithm that is not known beside ours", and_entry(digest=FOREIGN), BOTH),
    ("our tag in an algorithm that is not known, too", and_entry(digest=FOREIGN, name="t"), BOTH, {"umoci": OTHERWISE}),
    ("a tag that leads nowhere beside ours", and_entry(digest=MISSING), BOTH),
    ("a tag twice for one image", and_entry(name="t"), BOTH, {"umoci": OTHERWISE}),
    ("an index.json without a version", edited(without("schemaVersion")), "refused", {"umoci": OTHERWISE}),
    ("an index.json that is a manifest", edited(lambda document: {"schemaVersion": 2, "config": {}, "layers": []}), "refused"),
    ("a layout without index.json", then(lambda directory: os.unlink(directory + "/index.json")), "refused"),
    ("blobs behind a link", then(lambda directory: (os.rename(directory + "/blobs", directory + "/b"), os.symlink("b", directory + "/blobs"))), BOTH),
    *((f"a FIFO for {what}", instead(name, os.mkfifo), "refused", {"umoci": OTHERWISE}) for what, name in
      {"index.json": "index.json", "oci-layout": "oci-layout", "a manifest": manifest_of, "a config": config_of}.items()),
    ("a manifest without an end", instead(manifest_of, zeros), "refused", {"umoci": OTHERWISE}),
    ("a layer without an end", instead("blobs/sha256/" + sha256(ONE)[7:], zeros), "refused", {"umoci": OTHERWISE}),
]
