// What differs between two images: their layers, each set seen as one tree, compared entry by entry.
#pragma once

#include <string>
#include <vector>

namespace jigsaw::image {

struct Difference {
  enum class Kind : char { kAdded = 'A', kChanged = 'C', kDeleted = 'D' };
  Kind kind = Kind::kChanged;
  std::string path;    // "/etc/motd"
  std::string detail;  // "content", "mode 0644 -> 0600": what changed
};

// Directories of the layers, TOP FIRST as for a mount. Sorted by path; what lies below an added or deleted directory is
// not listed one by one.
std::vector<Difference> difference(const std::vector<std::string>& before, const std::vector<std::string>& after);

}  // namespace jigsaw::image
