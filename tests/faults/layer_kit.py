"""Layers byte by byte, images around them, and pictures of what they became. Used by hostile_images.py.

A layer is a list of blocks: entry() makes any header there could be, right or wrong. picture() writes a tree down in one line an
entry, leaving out what is usual (0644 or 0755, root's, of kTime), so that an expected outcome can be read.
"""
import gzip
import hashlib
import json
import os
import stat
import struct
import time

TIME = 1_000_000_000
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
INDEX = "application/vnd.oci.image.index.v1+json"
END = bytes(1024)
SIGNED = "as ancient tars summed"
USTAR, GNU, V7 = b"ustar\x0000", b"ustar  \x00", bytes(8)


def padded(data):
    return data + bytes(-len(data) % 512)


def octal(number, width):
    return b"%0*o\0" % (width - 1, number)


def base256(number, width):
    return (b"\x80" if number >= 0 else b"\xff") + number.to_bytes(width - 1, "big", signed=number < 0)


def field(value, width):
    """Numbers as octal; bytes as they are."""
    return value.ljust(width, b"\0")[:width] if isinstance(value, bytes) else octal(value, width)


def entry(name, type=b"0", data=b"", mode=None, uid=0, gid=0, mtime=TIME, link=b"", magic=USTAR, prefix=b"", size=None,
          dev=(0, 0), checksum=None, patch=(), tail=None):
    """One entry: header, content, padding. `size` and `checksum` may lie; `patch` overwrites (offset, bytes) before the sum."""
    name, link = (each.encode() if isinstance(each, str) else each for each in (name, link))
    data = data.encode() if isinstance(data, str) else data
    mode = mode if mode is not None else 0o755 if type == b"5" else 0o777 if type == b"2" else 0o644
    block = bytearray(field(name, 100) + field(mode, 8) + field(uid, 8) + field(gid, 8) +
                      field(len(data) if size is None else size, 12) + field(mtime, 12) + b" " * 8 + type + field(link, 100) +
                      magic + bytes(64) + field(dev[0], 8) + field(dev[1], 8) + field(prefix, 155) + bytes(12))
    for offset, piece in patch:
        block[offset:offset + len(piece)] = piece
    right = sum(block) if checksum != SIGNED else sum(byte - 256 if byte > 127 else byte for byte in block)
    block[148:156] = checksum if isinstance(checksum, bytes) else b"%06o\0 " % (right if checksum in (None, SIGNED) else checksum)
    return bytes(block) + (padded(data) if tail is None else data + tail)


def file(name, data=b"x", **more):
    return entry(name, b"0", data, **more)


def folder(name, mode=0o755, **more):
    return entry(name, b"5", mode=mode, **more)


def symlink(name, target, **more):
    return entry(name, b"2", link=target, **more)


def hardlink(name, target, **more):
    return entry(name, b"1", link=target, **more)


def record(key, value):
    key, value = (each.encode() if isinstance(each, str) else each for each in (key, value))
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def pax(records, type=b"x", name="pax"):
    """PAX records before the next entry: a dict, pairs, or bytes as they are."""
    pairs = records.items() if isinstance(records, dict) else records
    text = records if isinstance(records, bytes) else b"".join(record(*pair) for pair in pairs)
    return entry(name, type, text)


def gnu_long(name, type=b"L"):
    return entry("././@LongLink", type, (name.encode() if isinstance(name, str) else name) + b"\0", magic=GNU)


def archive(*entries):
    return b"".join(entries) + END


def capability():
    """security.capability, revision 2: cap_net_raw+ep."""
    return struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)


def access_list(user):
    """system.posix_acl_access: rw- for the owner, r-- for a user, the group and others."""
    entries = [(1, 6, 0xffffffff), (2, 4, user), (4, 4, 0xffffffff), (16, 4, 0xffffffff), (32, 4, 0xffffffff)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def text_of(document):
    return document if isinstance(document, bytes) else json.dumps(document).encode()


class Layout:
    """An OCI layout being made; every part can be told to lie."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory + "/blobs/sha256")

    def blob(self, data, media_type, **more):
        digest = sha256(data)
        with open(f"{self.directory}/blobs/sha256/{digest[7:]}", "wb") as out:
            out.write(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data), **more}

    def config(self, diff_ids, **more):
        return {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}, **more}

    def manifest(self, layers, config):
        return {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}

    def finish(self, root, tag="t"):
        """`root`: the descriptor that the tag stands for."""
        entry = {**root, "annotations": {**root.get("annotations", {}), "org.opencontainers.image.ref.name": tag}}
        with open(self.directory + "/index.json", "wb") as out:
            out.write(text_of({"schemaVersion": 2, "manifests": [entry]}))
        with open(self.directory + "/oci-layout", "w") as out:
            out.write('{"imageLayoutVersion":"1.0.0"}')

    def image(self, layers, diff_ids=None):
        """`layers`: tar archives, or pairs of a blob and the archive that it holds."""
        type_of = lambda blob: LAYER + ("+gzip" if blob[:2] == b"\x1f\x8b" else "+zstd" if blob[1:4] == b"\xb5\x2f\xfd" else "")
        pairs = [layer if isinstance(layer, tuple) else (layer, layer) for layer in layers]
        config = text_of(self.config(diff_ids or [sha256(plain) for _, plain in pairs]))
        manifest = self.manifest([self.blob(blob, type_of(blob)) for blob, _ in pairs], self.blob(config, CONFIG))
        self.finish(self.blob(text_of(manifest), MANIFEST))


def gzipped(plain):
    return gzip.compress(plain, 1, mtime=0)


def printable(name):
    """Names as bytes: what is not graphic becomes %XX, and a long run of one character its number."""
    text = "".join(chr(b) if 0x21 <= b < 0x7f and b not in b'%;' else "%%%02X" % b for b in name)
    if len(text) > 120:
        return f"{text[:20]}...{len(name)}:{hashlib.sha256(name).hexdigest()[:8]}"
    return text


def describe(path, name, status, seen, began):
    kind = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p",
            stat.S_IFSOCK: "s"}[stat.S_IFMT(status.st_mode)]
    inode = (status.st_dev, status.st_ino)
    if kind != "d" and inode in seen:
        return f"h {printable(name)}={printable(seen[inode])}"
    seen[inode] = name
    words = [kind, printable(name)]
    if kind == "f":
        with open(path, "rb") as opened:
            data = opened.read(1 << 20)
        words[-1] += "=" + (printable(data) if status.st_size <= 40 else f"({status.st_size}:{hashlib.sha256(data).hexdigest()[:8]})")
    elif kind == "l":
        words[-1] += "->" + printable(os.readlink(path))
    elif kind in "cb":
        words[-1] += f"={os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    mode = stat.S_IMODE(status.st_mode)
    if kind != "l" and mode != (0o755 if kind == "d" else 0o644):
        words.append("%04o" % mode)
    if status.st_uid or status.st_gid:
        words.append(f"{status.st_uid}:{status.st_gid}")
    if name != b"." and status.st_mtime_ns != TIME * 10**9:
        made_now = began - 2 <= status.st_mtime <= time.time() + 2
        words.append("@now" if made_now else "@" + ("%d.%09d" % divmod(status.st_mtime_ns, 10**9)).removesuffix(".000000000"))
    for key in sorted(os.listxattr(path, follow_symlinks=False)):
        words.append(f"{key}={os.getxattr(path, key, follow_symlinks=False).hex()}")
    return " ".join(words)


def picture(directory, began):
    """The whole tree, sorted by name; the root only if it is unusual."""
    top = os.fsencode(directory)
    names = [b"."]
    for above, folders, files in os.walk(top):
        names += [os.path.relpath(os.path.join(above, each), top) for each in folders + files]
    seen, result = {}, []
    for name in sorted(names):
        path = os.path.join(top, name)
        line = describe(path, name, os.lstat(path), seen, began)
        if line != "d .":
            result.append(line)
    return "; ".join(result)
