// Tree: a stack of directories read as one file system, without mounting anything.
//
// A stage's layers, top first, are looked through as overlayfs would: a name found in an upper layer hides the ones
// below, a whiteout (character device 0:0) ends the search, directories merge until one is opaque. A build context is
// a tree of one layer with a filter (.dockerignore).
//
// Nothing here trusts the content: every directory is opened by descriptor from its parent, component by component,
// without following links (openat(2), O_NOFOLLOW). Links are followed by resolve() alone, as text, in the tree's own
// root: a link to /etc/passwd means the tree's /etc/passwd, and ".." stops at its root. A link swapped in while we
// look makes the open fail; it never leads out.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace jigsaw::build {

// Whether a path ("/a/b") of the tree is hidden from the reader.
using Filter = std::function<bool(const std::string& path, bool is_directory)>;

class Tree {
 public:
  // Absolute paths of the layers, the top one first. None at all is an empty tree.
  explicit Tree(std::vector<std::string> layers, Filter filter = {});
  Tree(Tree&&) = default;

  // The layers' directories behind one directory of the tree, top first.
  struct Directory {
    std::string path;  // "/", "/a/b"
    struct Part {
      size_t layer;
      Fd fd;
    };
    std::vector<Part> parts;  // none for the root of an empty tree
    int fd() const { return parts.empty() ? -1 : parts.front().fd.get(); }
  };
  using DirectoryHandle = std::shared_ptr<const Directory>;

  struct Node {
    struct stat status {};
    size_t layer = 0;  // where it was found
  };

  // A directory by its path without links in it (see resolve()); nothing if there is none.
  DirectoryHandle directory(const std::string& path);
  DirectoryHandle subdirectory(const DirectoryHandle& parent, const std::string& name);

  // lstat(2) of a name in a directory, or of a path without links in its directories.
  std::optional<Node> find(const DirectoryHandle& parent, const std::string& name) const;
  std::optional<Node> find(const std::string& path);
  // Names, sorted by byte. find() has the last word on each: what it does not know (a whiteout, something that the filter
  // hides or that went away meanwhile) is not there.
  std::vector<std::string> list(const DirectoryHandle& directory) const;

  // Opens a regular file for reading; never blocks, never follows a link. Throws.
  Fd open_file(const DirectoryHandle& parent, const std::string& name) const;
  std::string read_link(const DirectoryHandle& parent, const std::string& name) const;

  enum class LastLink { kFollow, kKeep };
  // `path` without links, as it is within the tree: "/lib/x" -> "/usr/lib/x". What does not exist stays as written.
  // Throws ELOOP after 255 links. Nothing leads out of `root`, a path that is resolved already: the result is below it.
  std::string resolve(const std::string& path, LastLink last = LastLink::kFollow, const std::string& root = "/");

  // The whole content of a regular file, links followed in the tree; nothing if there is no such file. Throws if it is
  // something else than a regular file, or larger than `limit`.
  std::optional<std::string> read_file(const std::string& path, size_t limit);

  // To be called when a directory was made in the top layer behind our back.
  void forget(const std::string& path) { known_.erase(path); }
  void forget_all() { known_.clear(); }
  const std::vector<std::string>& layers() const { return layers_; }

 private:
  DirectoryHandle open_root();
  bool hidden(const Directory& parent, const std::string& name, bool is_directory) const;

  std::vector<std::string> layers_;
  Filter filter_;
  std::map<std::string, DirectoryHandle> known_;  // a few recent ones
};

}  // namespace jigsaw::build
