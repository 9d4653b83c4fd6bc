// Masked paths: files and directories of the kernel that say or do too much (/proc/kcore, /sys/firmware) are covered by
// an empty one. The covers are inodes of our own: /dev/null, which others cover with, is the container's to swap
// (CVE-2025-31133).
#pragma once

#include <span>
#include <string>

#include "base/fd.h"

namespace jigsaw::rootfs {

// An empty read-only file and an empty read-only directory, as mounts that are not attached yet.
class Masks {
 public:
  // Call it before attach_root(): before Linux 6.15 only what is attached can be cloned, and it is put on "/" for a moment.
  static Masks make();
  // Covers each of `paths` that exists in `root`.
  void cover(int root, std::span<const std::string> paths);

 private:
  // The first use attaches the mount itself, each further one a clone of it.
  struct Cover {
    Fd mount;
    bool attached = false;
  };
  Masks(Fd directory, Fd file) : directory_{std::move(directory)}, file_{std::move(file)} {}
  Cover directory_;
  Cover file_;
};

std::span<const std::string> default_masked_paths();
std::span<const std::string> default_read_only_paths();

}  // namespace jigsaw::rootfs
