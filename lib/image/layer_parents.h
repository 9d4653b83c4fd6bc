// The layers below a layer, asked as one tree: what would a path be if they were mounted together?
//
// A layer that depends on its parents needs this without a mount (a pull has no need of privileges for that). The
// rules are overlayfs': the uppermost entry wins, directories merge, a whiteout or an opaque directory hides the rest.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "unionfs/whiteout.h"

namespace jigsaw::image {

struct Below {
  enum class Kind { kNothing, kDirectory, kSymlink, kOther };
  Kind kind = Kind::kNothing;
  struct stat status {};
  Fd entry;            // O_PATH for what is no directory, readable for a directory
  std::string target;  // of a symbolic link
};

class LayerParents {
 public:
  // Directories, bottom first; those below an opaque root are left out by the caller.
  LayerParents(const std::vector<std::string>& directories, unionfs::Xattrs xattrs);

  bool empty() const { return roots_.empty(); }
  // `path` has no leading slash, no "." or ".." and no link on its way; "" is the root.
  Below find(const std::string& path) const;
  // Names in the directory `path` of the merged tree, sorted.
  std::vector<std::string> list(const std::string& path) const;

 private:
  // The directories that are merged at `path`, top first; none if it is no directory. `other` is set if the uppermost
  // entry is something else.
  std::vector<Fd> stack(const std::string& path, Below* other) const;

  std::vector<Fd> roots_;  // top first
  unionfs::Xattrs xattrs_;
};

// The extended attributes of an open file, without overlayfs' own.
std::map<std::string, std::string> read_xattrs(int fd);
// The same by path, following no link.
std::map<std::string, std::string> read_xattrs_of(const std::string& path);

}  // namespace jigsaw::image
