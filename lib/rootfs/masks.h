// Masked paths: files and directories of the kernel that say or do too much (/proc/kcore, /sys/firmware) are covered by
// an empty one. The covers are inodes of our own: /dev/null, which others cover with, is the container's to swap
// (CVE-2025-31133).
#pragma once

#include <span>
#include <string>

#include "base/fd.h"

namespace jigsaw::rootfs {

// An empty read-only file system with an empty file and an empty directory in it. Call it before attach_root(): it is
// put on the old root, and goes with it.
class Masks {
 public:
  static Masks make();
  // Covers each of `paths` that exists in `root`.
  void cover(int root, std::span<const std::string> paths) const;

 private:
  Masks(Fd directory, Fd file) : directory_(std::move(directory)), file_(std::move(file)) {}
  Fd directory_;
  Fd file_;
};

std::span<const std::string> default_masked_paths();
std::span<const std::string> default_read_only_paths();

}  // namespace jigsaw::rootfs
