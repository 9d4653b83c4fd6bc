#!/usr/bin/env python3
"""Images of every kind, right, odd and hostile: what `jigsaw unpack` and the store make of each, and umoci where it agrees.

The outcomes in layer_cases_*.py and image_cases*.py follow the image specification, and where it is silent what containerd, umoci, docker and podman
have in common. Two forms are looked at: the plain directory of `unpack`, and the layers in the store as overlayfs mounts them.
A file outside that every escape aims at must stay as it is. --list prints what happens, --only TEXT chooses cases.
"""
import argparse
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import image_cases
import image_cases_documents
import layer_cases_archive
import layer_cases_dialects
import layer_cases_stacks
import layer_cases_tree
from layer_kit import Layout, picture, sha256

OUTSIDE = "/tmp/jigsaw-outside"
NOTHING = "refused"


def command(*words):
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.returncode < 0 or b"terminate called" in done.stderr:
        return f"killed by signal {-done.returncode}"
    return NOTHING if done.returncode else ""


class Tools:
    def __init__(self, programs, directory):
        self.jigsaw, self.directory = programs + "/jigsaw", directory

    def plain(self, layout, place):
        began = time.time()
        return command(self.jigsaw, "--root", self.directory + "/unused", "unpack", "-q", f"oci:{layout}:t", place) or picture(place, began)

    def umoci(self, layout, place):
        began = time.time()
        return command("umoci", "raw", "unpack", "--image", layout + ":t", place) or picture(place, began)

    def store(self, layout, place):
        """Pulled, and its layers mounted as a container would get them."""
        began, store = time.time(), place + ".store"
        failed = command(self.jigsaw, "--root", store, "pull", "-q", f"oci:{layout}:t")
        if failed:
            left = os.listdir(store + "/tmp") if os.path.isdir(store + "/tmp") else []
            return failed + (f" and left tmp/{left[0]}" if left else "")
        lowers = self.lowers(store)
        if not lowers:
            return ""
        os.makedirs(place)
        os.makedirs(place + ".lowers/empty")
        for number, each in enumerate(lowers):
            os.symlink(each, f"{place}.lowers/{number}")
        names = [str(number) for number in reversed(range(len(lowers)))] + ["empty"]  # overlayfs takes two at least
        mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir=" + ":".join(names), place], cwd=place + ".lowers",
                                 capture_output=True, check=False)
        if mounted.returncode:
            return "does not mount: " + mounted.stderr.decode()
        try:
            return picture(place, began)
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)

    @staticmethod
    def lowers(store):
        """Bottom first, as the store's documentation says: by chain ID where the content depends on what is below, else by diff ID."""
        def blob(digest):
            with open(f"{store}/blobs/{digest.replace(':', '/')}", "rb") as opened:
                return json.load(opened)
        with open(store + "/index.json") as opened:
            manifest = blob(json.load(opened)["manifests"][0]["digest"])
        chain, result = "", []
        for diff_id in blob(manifest["config"]["digest"])["rootfs"]["diff_ids"]:
            chain = sha256(f"{chain} {diff_id}".encode()) if chain else diff_id
            own = f"{store}/layers/{chain[7:]}"
            own = own if os.path.exists(own) else f"{store}/layers/{diff_id[7:]}"
            with open(own + "/layer.json") as opened:
                result = [] if json.load(opened)["opaque_root"] else [each for each in result if each != own + "/diff"]
            result.append(own + "/diff")
        return result


def one(case, number, tools, umoci):
    name, content, outcome = case[:3]  # content: layers, or what fills a layout
    other = case[3] if len(case) > 3 else {}
    top = f"{tools.directory}/{number}"
    os.makedirs(top)
    layout = top + "/layout"
    content(Layout(layout)) if callable(content) else Layout(layout).image(content)
    seen = {"plain": tools.plain(layout, top + "/plain"), "store": tools.store(layout, top + "/store")}
    if umoci and "umoci" not in other:
        seen["umoci"] = tools.umoci(layout, top + "/umoci")
    subprocess.run(["rm", "-rf", top], check=True)
    return [f"{name}: {who}\n    expected {other.get(who, outcome)}\n    got      {got}" for who, got in seen.items()
            if got != other.get(who, outcome)], seen


def without_root(tools):
    """An ordinary user gets what he can: no devices, no owners, no attributes of others; but no error, and not more."""
    failures = []
    for name in ("an access list", "a block device", "a user in base 256", "file capabilities", "a directory without permissions"):
        content = next(case[1] for case in layer_cases_archive.CASES + layer_cases_tree.CASES if case[0] == name)
        top = f"{tools.directory}/rootless"
        os.makedirs(top)
        Layout(top + "/layout").image(content)
        os.chown(top, 65534, 65534)
        failed = command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=" + top, tools.jigsaw, "--root", top + "/unused",
                         "unpack", "-q", f"oci:{top}/layout:t", top + "/root")
        owners = {os.lstat(os.path.join(above, each)).st_uid for above, folders, files in os.walk(top + "/root") for each in folders + files}
        if failed or owners - {65534}:
            failures.append(f"{name}, without root: {failed or owners}")
        subprocess.run(["rm", "-rf", top], check=True)
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("owners, devices and mounts need root")
        return 77
    if os.environ.get("HOSTILE_IMAGES_NAMESPACE") is None:  # what is mounted goes with us
        os.environ["HOSTILE_IMAGES_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    directory = tempfile.mkdtemp(prefix="jigsaw-hostile-")
    subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
    os.makedirs(OUTSIDE, exist_ok=True)
    with open(OUTSIDE + "/witness", "w") as out:
        out.write("untouched")
    umoci, failures, tools = shutil.which("umoci"), [], Tools(options.bin, directory)
    sources = (layer_cases_archive, layer_cases_dialects, layer_cases_tree, layer_cases_stacks, image_cases, image_cases_documents)
    cases = [case for each in sources for case in each.CASES if options.only in case[0]]
    os.chmod(directory, 0o755)
    try:
        failures += without_root(tools)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for case, (failed, seen) in zip(cases, pool.map(lambda pair: one(pair[1], pair[0], tools, umoci), enumerate(cases))):
                failures += failed
                if options.list:
                    print(case[0], *(f"    {who}: {what}" for who, what in seen.items()), sep="\n")
        with open(OUTSIDE + "/witness") as opened:
            if opened.read() != "untouched" or os.listdir(OUTSIDE) != ["witness"]:
                failures.append("something wrote to " + OUTSIDE)
    finally:
        shutil.rmtree(OUTSIDE)
        subprocess.run(["umount", "--lazy", directory], check=True)
        os.rmdir(directory)
    print(*failures, sep="\n")
    print(f"{len(cases)} images, {len(failures)} outcomes that are not as expected")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
