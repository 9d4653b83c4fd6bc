"""Dialects of tar and of its compressors: what GNU tar, star and old Go wrote, members and frames in every order. Each case: its name,
layers, the outcome."""
import os
import struct
import subprocess
import tempfile
import zlib

from layer_cases_archive import A, OTHERWISE, SKIP, zstd
from layer_kit import *


def gzip_member(plain, flags=0, extra=b"", level=6, method=8):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    body = packer.compress(plain) + packer.flush()
    return b"\x1f\x8b" + bytes([method, flags]) + bytes(6) + extra + body + struct.pack("<II", zlib.crc32(plain), len(plain))


def with_header_sum(error):
    return gzip_member(A, 2, struct.pack("<H", (zlib.crc32(b"\x1f\x8b\x08\x02" + bytes(6)) & 0xffff) ^ error))


def gnu_tar(*options):
    """What GNU tar makes of a file with two holes."""
    with tempfile.TemporaryDirectory() as directory:
        with open(directory + "/s", "wb") as out:
            for place, data in ((100_000, b"data"), (300_000, b"more")):
                out.seek(place)
                out.write(data)
            out.truncate(400_000)
        os.utime(directory + "/s", (TIME, TIME))
        os.chmod(directory + "/s", 0o644)
        return subprocess.run(["tar", "-c", "--sparse", "--owner=0", "--group=0", "--numeric-owner", *options, "-C", directory, "s"],
                              capture_output=True, check=True).stdout


def sparse_1_0(map_text, data, size):
    records = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(size), "GNU.sparse.name": "r"}
    return archive(pax(records), file("a", padded(map_text) + data), file("b"))


PIECES = (1 << 20) - 1
PAX_DATES = "--pax-option=delete=atime,delete=ctime"
HOLES = "f s=(400000:7d4a4774)"

CASES = [
    # Headers
    ("a prefix in a GNU header, as Go wrote before 1.8", [archive(file("c", magic=GNU, prefix=b"a/b"))], "d a @now; d a/b @now; f a/b/c=x"),
    ("times where others have a prefix, in a GNU header", [archive(file("c", magic=GNU, patch=[(345, octal(TIME, 12)), (357, octal(TIME, 12))]))],
     "f c=x"),
    ("a prefix that fills star's header", [archive(file("c", prefix=b"p" * 131 + octal(5, 12) + octal(6, 12), patch=[(508, b"tar\0")]))],
     "d pppppppppppppppppppp...131:2835352e @now; f pppppppppppppppppppp...133:8aa37db5=x"),
    ("device numbers in base 256", [archive(entry("a", b"3", dev=(base256(1, 8), base256(3, 8))))], "c a=1:3"),
    ("a version of ustar that is none", [archive(file("c", magic=b"ustar\0zz", prefix=b"a"))], "d a @now; f a/c=x"),
    ("a magic in capitals is none", [archive(file("c", magic=b"USTAR\x0000", prefix=b"a"))], "f c=x"),
    # PAX
    ("a PAX path that climbs", [archive(pax({"path": "../../q"}), file("x"))], "f q=x"),
    ("a PAX path that is absolute", [archive(pax({"path": "/q/r/"}), folder("x"))], "d q @now; d q/r"),
    ("a PAX path of the root", [archive(pax({"path": "./"}), folder("x", 0o711), file("a"))], "d . 0711; f a=x"),
    ("a PAX path of a whiteout", [archive(file("a"), file("b")), archive(pax({"path": ".wh.a"}), file("x", b""))], "f b=x"),
    ("a PAX path with a newline", [archive(pax({"path": "a\nb"}), file("x"))], "f a%0Ab=x"),
    ("a PAX linkpath with a NUL", [archive(pax([(b"linkpath", b"a\0b")]), symlink("x", "y"))], "refused"),
    ("an empty PAX linkpath", [archive(pax({"linkpath": ""}), symlink("x", "y"))], "l x->y"),
    ("a PAX linkpath that is no UTF-8", [archive(pax([(b"linkpath", b"\xff\xfe")]), symlink("x", "y"))], "l x->%FF%FE"),
    ("PAX records with zeros behind", [archive(pax(b"10 path=b\n" + bytes(4)), file("a"))], "refused"),
    ("PAX records of more than 1 MiB", [archive(pax({"comment": "c" * (1 << 20)}), file("a"))], "refused"),
    ("PAX records of nearly 1 MiB", [archive(pax({"comment": "c" * ((1 << 20) - 40)}), file("a"))], "f a=x"),
    ("a GNU long name of more than 1 MiB", [archive(gnu_long("n" * (1 << 20)), file("a"))], "refused"),
    ("global headers between the entries",
     [archive(pax({"uid": "7"}, b"g"), pax({"path": "z"}, b"g"), file("a"), pax({"uid": "8"}, b"g"), file("b"))],
     "f a=x; f b=x", {"umoci": OTHERWISE}),
    ("a PAX mtime of -0.5", [archive(pax({"mtime": "-0.5"}), file("a"), pax({"mtime": "0.0"}), folder("d"))], "f a=x @-1.500000000; d d @0"),
    *((f"a PAX mtime of {time}", [archive(pax({"mtime": time}), file("a"))], "refused") for time in (".5", "1e9", "9223372036854775808")),
    ("an attribute without a name", [archive(pax({"SCHILY.xattr.": "v"}), file("a"))], "refused"),
    ("an attribute of a name space that is none", [archive(pax({"SCHILY.xattr.plain": "v"}), file("a"))], "f a=x"),
    ("an attribute of more than 64 KiB", [archive(pax({"SCHILY.xattr.user.k": "v" * 70_000}), file("a"))], "refused"),
    ("a trusted attribute", [archive(pax({"SCHILY.xattr.trusted.k": "v"}), file("a"))], "f a=x trusted.k=76"),
    ("capabilities that are none", [archive(pax({"SCHILY.xattr.security.capability": "nonsense"}), file("a"))], "refused"),
    ("labels and lists that belong to the host",
     [archive(pax({"SCHILY.xattr.security.selinux": "a:b:c:s0\0", "RHT.security.selinux": "x", "SCHILY.acl.access": "user::rw-"}), file("a"))], "f a=x"),
    # Sparse files
    ("GNU tar's sparse files", [gnu_tar("--format=gnu")], HOLES, {"umoci": OTHERWISE}),
    *((f"GNU tar's sparse files, PAX {version}", [gnu_tar("--format=pax", "--sparse-version=" + version, PAX_DATES)], HOLES)
      for version in ("0.0", "0.1", "1.0")),
    ("PAX sparse 1.0, all of it a hole", [sparse_1_0(b"0\n", b"", 100)], "f b=x; f r=(100:cd00e292)"),
    ("PAX sparse 1.0 whose size is too small", [sparse_1_0(b"1\n500\n3\n", b"abc", 5)], "refused"),
    ("PAX sparse 1.0 with too little content", [sparse_1_0(b"1\n500\n30\n", b"abc", 1000)], "refused"),
    ("PAX sparse 1.0 with too much content", [sparse_1_0(b"1\n500\n2\n", b"abc", 1000)], "refused"),
    ("PAX sparse 1.0 with a million pieces", [sparse_1_0(b"%d\n" % PIECES + b"0\n0\n" * PIECES, b"", 9)], "f b=x; f r=%00%00%00%00%00%00%00%00%00"),
    ("PAX sparse 1.0 that does not say how many pieces", [sparse_1_0(b"0" * 512 + b"\n", b"", 9)], "refused", {"umoci": OTHERWISE}),
    ("PAX sparse records of a directory",
     [archive(pax({"GNU.sparse.size": "100", "GNU.sparse.numblocks": "1", "GNU.sparse.map": "97,3"}), folder("d"))], "refused"),
    ("PAX sparse of a version to come",
     [archive(pax({"GNU.sparse.major": "2", "GNU.sparse.minor": "0", "GNU.sparse.name": "r"}), file("a", b"abc"), file("b"))], "f a=abc; f b=x"),
    # gzip
    ("gzip with empty members around", [(gzip_member(b"") + gzip_member(A) + gzip_member(b""), A)], "f a=x"),
    ("gzip with a header's checksum", [(with_header_sum(0), A)], "f a=x"),
    ("gzip with a header's checksum that is wrong", [(with_header_sum(1), A)], "refused"),
    ("gzip with flags that are none", [(gzip_member(A, 0x80), A)], "refused", {"umoci": OTHERWISE}),
    ("gzip by a method that is none", [(gzip_member(A, method=7), A)], "refused"),
    ("gzip without compression", [(gzip_member(A, level=0), A)], "f a=x"),
    ("gzip of 200 members that end anywhere", [(b"".join(gzip_member(A[i:i + 13]) for i in range(0, len(A), 13)), A)], "f a=x"),
    ("gzip whose second member is cut", [(gzip_member(A[:512]) + gzip_member(A[512:])[:-9], A)], "refused"),
    ("gzip with a wrong length", [(gzip_member(A)[:-4] + b"\5\0\0\0", A)], "refused"),
    ("gzip with half a magic behind", [(gzip_member(A) + b"\x1f", A)], "refused"),
    ("gzip with a header behind", [(gzip_member(A) + gzip_member(b"")[:10], A)], "refused"),
    ("gzip with zstd behind", [(gzip_member(A[:512]) + zstd(A[512:]), A)], "refused"),
    # zstd
    ("zstd with skippable and empty frames between", [(zstd(A[:512]) + SKIP + zstd(b"") + zstd(A[512:]) + SKIP, A)], "f a=x", {"umoci": OTHERWISE}),
    ("zstd with a skippable frame that is cut", [(zstd(A) + SKIP[:-2], A)], "refused"),
    ("zstd without a checksum", [(zstd(A, "--no-check"), A)], "f a=x", {"umoci": OTHERWISE}),
    ("zstd cut in the header of its second frame", [(zstd(A) + zstd(A)[:5], A)], "refused"),
    ("zstd with gzip behind", [(zstd(A[:512]) + gzip_member(A[512:]), A)], "refused"),
    # An uncompressed archive begins with a name
    ("a first name that begins like bzip2", [archive(file("BZhello"))], "f BZhello=x"),
    ("a first name that begins like gzip", [archive(file(b"\x1f\x8b\x08name"))], "f %1F%8B%08name=x", {"umoci": OTHERWISE}),
    ("a first name that begins like zstd", [archive(file(b"\x28\xb5\x2f\xfdname"))], "d (%B5 @now; f (%B5/%FDname=x", {"umoci": OTHERWISE}),
    ("a first name that begins like xz", [archive(file(b"\xfd7zXZname"))], "f %FD7zXZname=x"),
]
