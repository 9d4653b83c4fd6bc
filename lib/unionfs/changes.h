// Changes: what a container wrote, read from the upper directory of its overlay: as `docker diff` shows it.
//
// Only the upper is walked. For each entry the lowers say whether something of that name was there before; a lower
// is asked only while no layer above it hides it (by a whiteout, an opaque directory, or something that is no
// directory). Every directory of the upper is opened by descriptor without following links: it was written by a stranger.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "unionfs/whiteout.h"

namespace jigsaw::unionfs {

struct Change {
  enum class Kind : char {
    kAdded = 'A',     // no layer below has it
    kModified = 'C',  // copied up and changed, or a directory in which something changed
    kDeleted = 'D',   // a whiteout
    kReplaced = 'R',  // a directory that hides the one below with all it holds (opaque)
  };
  Kind kind = Kind::kAdded;
  std::string path;  // from the root of the merged tree: "/etc/motd"
  bool operator==(const Change&) const = default;
};

// Sorted by path within each directory, a directory before what it holds. `lowers` top first, as in Overlay.
std::vector<Change> changes(const std::string& upper, const std::vector<std::string>& lowers, Xattrs xattrs);

// "C /etc\nD /etc/hosts\n", control bytes made printable.
std::string listing(const std::vector<Change>& changes);

}  // namespace jigsaw::unionfs
