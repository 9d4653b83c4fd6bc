"""Manifests, indexes and configs that are odd or lie. Each case: its name, a function that fills a Layout, the outcome: the picture
of the root file system, or refused."""
import hashlib
import json
import os

from layer_kit import CONFIG, INDEX, LAYER, MANIFEST, archive, file, sha256, text_of

ONE, TWO = archive(file("a", "1")), archive(file("b", "2"))
BOTH = "f a=1; f b=2"
DOCKER = "application/vnd.docker."
DOCKER_MANIFEST, DOCKER_LIST = DOCKER + "distribution.manifest.v2+json", DOCKER + "distribution.manifest.list.v2+json"
OTHERWISE = "umoci reads it otherwise"
HOST = {"platform": {"architecture": "amd64", "os": "linux"}}


def image(layers=(ONE, TWO), config=None, manifest=None, layer=None, descriptor=None, root=None, config_type=CONFIG,
          manifest_type=MANIFEST, layer_type=LAYER, text=None):
    """Builds an image; each function given changes one document before it is written."""
    def build(layout):
        document = layout.config([sha256(each) for each in layers])
        document = config(document) if config else document
        blobs = [layout.blob(each, layer_type) for each in layers]
        blobs = [layer(number, each) for number, each in enumerate(blobs)] if layer else blobs
        about = layout.blob(text_of(document), config_type)
        whole = layout.manifest(blobs, descriptor(about) if descriptor else about)
        whole = manifest(whole) if manifest else whole
        data = text(text_of(whole)) if text else text_of(whole)
        found = layout.blob(data, manifest_type)
        layout.finish(root(layout, found) if root else found)
    return build


def changed(**what):
    return lambda document: {**document, **what}


def without(*keys):
    return lambda document: {key: value for key, value in document.items() if key not in keys}


def first(**what):
    return lambda number, blob: {**blob, **what} if number == 0 else blob


def diff_ids(change):
    return lambda document: {**document, "rootfs": {"type": "layers", "diff_ids": change(document["rootfs"]["diff_ids"])}}


def index(*entries, **more):
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries), **more}


def nested(depth):
    def root(layout, found):
        for _ in range(depth):
            found = layout.blob(text_of(index({**found, **HOST})), INDEX)
        return found
    return root


def loop(layout, found):
    """An index cannot name itself by digest; one that claims to is refused for its digest."""
    text = text_of(index({"mediaType": INDEX, "digest": "sha256:" + "ab" * 32, "size": 300, **HOST}))
    with open(f"{layout.directory}/blobs/sha256/{'ab' * 32}", "wb") as out:
        out.write(text)
    return {"mediaType": INDEX, "digest": "sha256:" + "ab" * 32, "size": len(text)}


def in_index(*platforms, last=None):
    def root(layout, found):
        other = layout.blob(b"{}", MANIFEST)
        entries = [{**other, "platform": {"architecture": each, "os": "linux"}} for each in platforms]
        return layout.blob(text_of(index(*entries, last or {**found, **HOST})), INDEX)
    return root


def swap_blob(layout, found):
    """The first layer's file holds another layer of the same size."""
    with open(f"{layout.directory}/blobs/sha256/{sha256(ONE)[7:]}", "wb") as out:
        out.write(archive(file("a", "9")))
    return found


def longer_blob(layout, found):
    with open(f"{layout.directory}/blobs/sha256/{sha256(ONE)[7:]}", "ab") as out:
        out.write(b"more")
    return found


def no_blob(layout, found):
    os.unlink(f"{layout.directory}/blobs/sha256/{sha256(TWO)[7:]}")
    return found


def fifo_blob(layout, found):
    path = f"{layout.directory}/blobs/sha256/{sha256(TWO)[7:]}"
    os.unlink(path)
    os.mkfifo(path)
    return found


def with_sha512(layout):
    digest = "sha512:" + hashlib.sha512(ONE).hexdigest()
    os.makedirs(layout.directory + "/blobs/sha512")
    with open(f"{layout.directory}/blobs/{digest.replace(':', '/')}", "wb") as out:
        out.write(ONE)
    config = layout.blob(text_of(layout.config([sha256(ONE)])), CONFIG)
    layer = {"mediaType": LAYER, "digest": digest, "size": len(ONE)}
    layout.finish(layout.blob(text_of(layout.manifest([layer], config)), MANIFEST))


def with_sha512_diff_id(layout):
    config = layout.blob(text_of(layout.config(["sha512:" + hashlib.sha512(ONE).hexdigest()])), CONFIG)
    layout.finish(layout.blob(text_of(layout.manifest([layout.blob(ONE, LAYER)], config)), MANIFEST))


def escaping_digest(layout):
    config = layout.blob(text_of(layout.config([sha256(ONE)])), CONFIG)
    layer = {"mediaType": LAYER, "digest": "sha256:../../../../../../etc/passwd", "size": 1}
    layout.finish(layout.blob(text_of(layout.manifest([layer], config)), MANIFEST))


def linked_blob(layout, found):
    path = f"{layout.directory}/blobs/sha256/{sha256(ONE)[7:]}"
    os.rename(path, layout.directory + "/elsewhere")
    os.symlink("../../elsewhere", path)
    return found


def misled_blob(layout, found):
    path = f"{layout.directory}/blobs/sha256/{sha256(ONE)[7:]}"
    os.unlink(path)
    os.symlink("/etc/passwd", path)
    return found


def directory_blob(layout, found):
    path = f"{layout.directory}/blobs/sha256/{sha256(ONE)[7:]}"
    os.unlink(path)
    os.mkdir(path)
    return found


def marked(text):
    """An image in a layout with this in its oci-layout."""
    def build(layout):
        image()(layout)
        with open(layout.directory + "/oci-layout", "w") as out:
            out.write(text)
    return build


def retagged(layout):
    image()(layout)
    with open(layout.directory + "/index.json") as opened:
        document = json.load(opened)
    document["manifests"].append({**document["manifests"][0], "digest": "sha256:" + "0" * 64})
    with open(layout.directory + "/index.json", "w") as out:
        json.dump(document, out)


CASES = [
    ("an image", image(), BOTH),
    # Descriptors
    ("a layer's size too small", image(layer=first(size=10)), "refused"),
    ("a layer's size too large", image(layer=first(size=99999)), "refused"),
    ("a layer's size negative", image(layer=first(size=-1)), "refused", {"umoci": OTHERWISE}),
    ("a layer's size as a fraction", image(layer=first(size=1536.5)), "refused"),
    ("a layer's size as a string", image(layer=first(size="1536")), "refused"),
    ("a layer's size beyond 64 bits", image(layer=first(size=10**30)), "refused"),
    ("a layer without a size", image(layer=lambda n, blob: without("size")(blob)), "refused"),
    ("a layer without a digest", image(layer=lambda n, blob: without("digest")(blob)), "refused"),
    ("a config's size too small", image(descriptor=changed(size=5)), "refused"),
    ("a config's size too large", image(descriptor=changed(size=5000)), "refused"),
    ("a config of a terabyte", image(descriptor=changed(size=1 << 40)), "refused"),
    ("a manifest's size too small", image(root=lambda layout, found: {**found, "size": 10}), "refused"),
    ("a manifest's size too large", image(root=lambda layout, found: {**found, "size": 10_000}), "refused"),
    ("a manifest of a terabyte", image(root=lambda layout, found: {**found, "size": 1 << 40}), "refused"),
    ("a digest in upper case", image(layer=lambda n, blob: {**blob, "digest": "sha256:" + blob["digest"][7:].upper()}), "refused"),
    ("a digest that is too short", image(layer=lambda n, blob: {**blob, "digest": blob["digest"][:-1]}), "refused"),
    ("a digest of an unknown algorithm", image(layer=first(digest="md5:" + "0" * 32)), "refused"),
    ("a digest without an algorithm", image(layer=lambda n, blob: {**blob, "digest": blob["digest"][7:]}), "refused"),
    ("a digest that is a path", escaping_digest, "refused"),
    ("an empty digest", image(layer=first(digest="")), "refused"),
    ("a layer by sha512", with_sha512, "f a=1", {"umoci": OTHERWISE}),
    ("a diff_id by sha512", with_sha512_diff_id, "f a=1", {"umoci": OTHERWISE}),
    ("a layer's blob that is another", image(root=swap_blob), "refused"),
    ("a layer's blob with more behind", image(root=longer_blob), "refused"),
    ("a layer's blob that is missing", image(root=no_blob), "refused"),
    ("a layer's blob that is a FIFO", image(root=fifo_blob), "refused", {"umoci": OTHERWISE}),
    ("a layer's content in its descriptor is not needed", image(layer=first(data="bm90IHRoZSBsYXllcg==")), BOTH),
    ("content in a descriptor that is no base64", image(layer=first(data="***")), "refused"),
    ("content in a descriptor that is a number", image(layer=first(data=5)), "refused"),
    ("a layer's blob behind a symbolic link", image(root=linked_blob), BOTH),
    ("a layer's blob behind a link to another file", image(root=misled_blob), "refused"),
    ("a layer's blob that is a directory", image(root=directory_blob), "refused"),
    ("a tag of two images", retagged, "refused"),
    ("a layout of another version", marked('{"imageLayoutVersion":"2.0.0"}'), "refused"),
    ("a layout of a newer minor version", marked('{"imageLayoutVersion":"1.1.0"}'), BOTH, {"umoci": OTHERWISE}),
    ("a layout without a version", marked("{}"), "refused"),
    ("a layout whose marker is empty", marked(""), "refused"),
    ("addresses of a layer are not needed", image(layer=first(urls=["http://127.0.0.1:1/x"])), BOTH),
    ("annotations of 3 MB", image(manifest=changed(annotations={"k": "v" * 3_000_000})), BOTH),
    ("annotations that are no strings", image(manifest=changed(annotations={"k": 1})), "refused"),
    # diff_ids
    ("a diff_id too few", image(config=diff_ids(lambda ids: ids[:1])), "refused"),
    ("a diff_id too many", image(config=diff_ids(lambda ids: ids + ids[:1])), "refused", {"umoci": OTHERWISE}),
    ("diff_ids swapped", image(config=diff_ids(lambda ids: ids[::-1])), "refused"),
    ("diff_ids wrong", image(config=diff_ids(lambda ids: ["sha256:" + "0" * 64] * 2)), "refused"),
    ("diff_ids of the last layer for all", image(config=diff_ids(lambda ids: ids[1:] * 2)), "refused"),
    ("no diff_ids", image(config=diff_ids(lambda ids: [])), "refused"),
    ("diff_ids null", image(config=diff_ids(lambda ids: None)), "refused"),
    ("diff_ids a string", image(config=diff_ids(lambda ids: ids[0])), "refused"),
    ("no rootfs", image(config=without("rootfs")), "refused"),
    ("rootfs of another type", image(config=lambda c: {**c, "rootfs": {**c["rootfs"], "type": "windows"}}), "refused"),
    ("the same layer twice", image(layers=(ONE, ONE)), "f a=1"),
    ("no layers at all", image(layers=()), ""),
    # Configs
    ("a config that is no JSON", image(config=lambda c: b"{"), "refused"),
    ("a config that is a list", image(config=lambda c: []), "refused"),
    ("a config that is null", image(config=lambda c: b"null"), "refused"),
    ("an empty config", image(config=lambda c: b""), "refused"),
    ("a config of the kind {}", image(config=lambda c: {}), "refused"),
    ("config null in the config", image(config=changed(config=None)), BOTH),
    ("Env that is no list", image(config=changed(config={"Env": "A=b"})), "refused"),
    ("Cmd null", image(config=changed(config={"Cmd": None, "Entrypoint": None, "Labels": None, "Env": None})), BOTH),
    ("more history than layers", image(config=changed(history=[{"created_by": "x"}] * 9)), BOTH),
    ("unknown members everywhere", image(config=changed(x={"y": [1, None]}), manifest=changed(z=[[]]), layer=first(q=True)), BOTH),
    # Manifests
    ("schemaVersion missing", image(manifest=without("schemaVersion")), "refused", {"umoci": OTHERWISE}),
    ("schemaVersion 3", image(manifest=changed(schemaVersion=3)), "refused", {"umoci": OTHERWISE}),
    ("schemaVersion as a string", image(manifest=changed(schemaVersion="2")), "refused"),
    ("no media type", image(manifest=without("mediaType")), BOTH),
    ("a manifest without a config", image(manifest=without("config")), "refused"),
    ("a manifest without layers", image(manifest=without("layers")), "refused", {"umoci": OTHERWISE}),
    ("layers null", image(manifest=changed(layers=None)), "refused", {"umoci": OTHERWISE}),
    ("layers an object", image(manifest=changed(layers={})), "refused"),
    ("a manifest that is an index too", image(manifest=lambda m: {**m, "manifests": []}), "refused", {"umoci": OTHERWISE}),
    ("a manifest that says it is an index", image(manifest=changed(mediaType=INDEX)), "refused", {"umoci": OTHERWISE}),
    ("a manifest announced as an index", image(manifest_type=INDEX), "refused"),
    ("an index announced as a manifest",
     image(root=lambda layout, found: {**nested(1)(layout, found), "mediaType": MANIFEST}), "refused"),
    ("an OCI manifest that says it is Docker's", image(manifest=changed(mediaType=DOCKER_MANIFEST)), "refused", {"umoci": OTHERWISE}),
    # Go's reader takes the last one, others the first: what two understand differently is refused, as in CVE-2021-41190.
    ("keys that occur twice", image(text=lambda t: t[:-1] + b', "layers": []}'), "refused", {"umoci": OTHERWISE}),
    ("keys that differ in case", image(text=lambda t: t[:-1] + b', "Layers": [], "CONFIG": {}}'), "refused", {"umoci": OTHERWISE}),
    ("keys that differ in case, in a config",
     image(config=lambda c: text_of(c)[:-1] + b', "RootFS": {"type": "layers", "diff_ids": []}}'), "refused"),
    ("200,000 lists within one another", image(text=lambda t: t[:-1] + b', "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"), "refused"),
    ("a manifest cut off", image(text=lambda t: t[:-3]), "refused"),
    ("a manifest and garbage", image(text=lambda t: t + b"{}"), "refused", {"umoci": OTHERWISE}),
    ("a manifest with a byte order mark", image(text=lambda t: b"\xef\xbb\xbf" + t), "refused"),
    ("a manifest with bad UTF-8", image(text=lambda t: t[:-1] + b', "x": "\xff"}'), "refused", {"umoci": OTHERWISE}),
    ("a manifest with white space around", image(text=lambda t: b"\n " + t + b"\n\n"), BOTH),
    ("5,000 layers", image(manifest=lambda m: {**m, "layers": m["layers"] * 2500}), "refused"),
    ("schema 1", image(text=lambda t: text_of({"schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": [], "history": []})), "refused"),
    ("an artifact with a subject", image(manifest=lambda m: {**m, "subject": m["config"]}), BOTH),
    ("an artifact that is no image", image(config_type="application/vnd.example.config+json", layer_type="application/x-y"), "refused"),
    ("a config of no type", image(config_type=""), "refused"),
    ("a config of any type", image(config_type="application/octet-stream"), "refused"),
    ("an empty config of an artifact", image(layers=(), config=lambda c: {}, config_type="application/vnd.oci.empty.v1+json"), "refused"),
    # Media types
    ("Docker's types", image(manifest_type=DOCKER_MANIFEST, manifest=changed(mediaType=DOCKER_MANIFEST), config_type=DOCKER +
                             "container.image.v1+json", layer_type=DOCKER + "image.rootfs.diff.tar"), BOTH, {"umoci": OTHERWISE}),
    ("layers that say gzip and are not", image(layer_type=LAYER + "+gzip"), BOTH, {"umoci": OTHERWISE}),
    ("a nondistributable layer", image(layer_type="application/vnd.oci.image.layer.nondistributable.v1.tar"), BOTH),
    ("a layer of no known type", image(layer=first(mediaType="application/octet-stream")), "refused"),
    ("an encrypted layer", image(layer=first(mediaType=LAYER + "+gzip+encrypted")), "refused"),
    ("an empty media type of a layer", image(layer=first(mediaType="")), "refused"),
    ("a media type with parameters", image(layer=first(mediaType=LAYER + ";charset=utf-8")), "refused"),
    # Indexes
    ("an index", image(root=nested(1)), BOTH),
    ("an index in an index", image(root=nested(2)), BOTH),
    ("twenty indexes within one another", image(root=nested(20)), "refused", {"umoci": OTHERWISE}),
    ("an index that names itself", image(root=loop), "refused"),
    ("an index for other machines", image(root=in_index("s390x", last={"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 2,
                                                                     "platform": {"architecture": "riscv64", "os": "linux"}})), "refused"),
    ("ours behind others in an index", image(root=in_index("s390x", "ppc64le")), BOTH, {"umoci": OTHERWISE}),
    ("an index that names what is not there",
     image(root=in_index(last={"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 2, **HOST})), "refused"),
    ("an empty index", image(root=lambda layout, found: layout.blob(text_of(index()), INDEX)), "refused"),
    ("an index that is a manifest too",
     image(root=lambda layout, found: layout.blob(text_of(index({**found, **HOST}, layers=[], config={})), INDEX)), "refused", {"umoci": OTHERWISE}),
    ("an index whose manifests is an object",
     image(root=lambda layout, found: layout.blob(text_of(index() | {"manifests": {}}), INDEX)), "refused"),
    ("a platform that is no object",
     image(root=lambda layout, found: layout.blob(text_of(index({**found, "platform": "linux"})), INDEX)), "refused"),
    ("Docker's list",
     image(root=lambda layout, found: layout.blob(text_of(index({**found, **HOST}) | {"mediaType": DOCKER_LIST}), DOCKER_LIST)), BOTH, {"umoci": OTHERWISE}),
    ("attestations beside the image", image(root=lambda layout, found: layout.blob(text_of(index({**found, "platform": {
        "architecture": "unknown", "os": "unknown"}, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}, {**found, **HOST})), INDEX)), BOTH, {"umoci": OTHERWISE}),
    ("a config for another machine", image(config=changed(architecture="s390x")), BOTH),
    ("a config for no machine", image(config=without("architecture", "os")), BOTH),
]
