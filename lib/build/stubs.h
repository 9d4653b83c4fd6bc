// Stubs: to mount something the kernel needs a file or directory to mount it on, and one that is made for it would
// stay in the layer. What was not there before the RUN, and is empty after it, goes away again.
//
// The RUN may have put a link or other files there meanwhile: everything is looked at from the layer's own directory
// by descriptors, without following links, and only what is still an empty file or directory is removed
// (CVE-2024-23652 is a stub deleted through a link).
#pragma once

#include <string>
#include <vector>

#include "build/tree.h"
#include "runtime/spec.h"

namespace jigsaw::build {

class Stubs {
 public:
  // Before the RUN: which of the spec's mount points `image` lacks. /proc, /dev and /sys stay, as they do elsewhere.
  Stubs(Tree& image, const runtime::Spec& spec);
  // After it. Directories above them that were only copied up for their sake go too.
  void remove_from(const std::string& upper, const std::vector<std::string>& lowers) const;

 private:
  std::vector<std::string> missing_;  // paths without links, the deepest first
};

}  // namespace jigsaw::build
