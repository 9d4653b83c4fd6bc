// LayerWriter: makes the files of one new layer in a plain directory, as overlayfs would have left them there.
//
// COPY, ADD and WORKDIR need no container and no mount: the layers below are only looked at (tree.h), to know what a
// path means and whether a directory is there already; the new files go into the directory that becomes the layer. A
// directory of a lower layer in which something changes is made again with its owner, mode and attributes ("copied
// up"). All work is relative to descriptors that were opened without following links.
#pragma once

#include <sys/stat.h>

#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "build/tree.h"

namespace jigsaw::build {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
  friend bool operator==(const Owner&, const Owner&) = default;
};

struct Attributes {
  Owner owner;
  mode_t mode = 0755;            // 07777
  std::optional<timespec> time;  // modification time; nothing: now
};

class LayerWriter {
 public:
  // `upper` is an empty directory; `lowers` top first.
  LayerWriter(const std::string& upper, const std::vector<std::string>& lowers);

  // What a container would see: upper and lowers together.
  Tree& tree() { return tree_; }

  // All paths below are absolute, without links (Tree::resolve()).

  // The directory in the upper, copied up if it is only below. Throws if the tree has no such directory.
  int directory(const std::string& path);
  // mkdir -p. Only the ones that are made get `attributes` (below a set-group-ID directory its group, if that is root's);
  // they are returned. Throws ENOTDIR at anything else.
  std::vector<std::string> make_directories(const std::string& path, const Attributes& attributes);
  void make_directory(const std::string& path, const Attributes& attributes);
  // A new, empty file in place of whatever non-directory is there. Throws if it is a directory.
  Fd create_file(const std::string& path);
  void make_link(const std::string& path, const std::string& target, const Attributes& attributes);
  void make_hard_link(const std::string& path, const std::string& existing);
  void make_node(const std::string& path, mode_t type, dev_t device, const Attributes& attributes);
  void remove(const std::string& path);

  // Owner, mode and times of a directory or file in the upper.
  void set_attributes(int fd, const std::string& path, const Attributes& attributes);

 private:
  void make_room(const std::string& path);
  // Takes a whiteout out of the way of what is about to be made there; whether there was one.
  bool remove_whiteout(const std::string& path);

  Tree tree_;
  Fd upper_;
  std::map<std::string, Fd> open_;  // a few recent directories of the upper
};

// Copies the extended attributes of `source` to `target`, both open for reading; overlayfs' own ones are left out, and
// those that the target's file system does not take.
void copy_attributes(int source, int target);
// The attributes that copy_attributes() would copy, as one text for hashing; "" if there are none.
std::string attributes_text(int fd);
// The rest of `source`, from its offset on.
void copy_content(int source, int target, const std::string& name);

}  // namespace jigsaw::build
