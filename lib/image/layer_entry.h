// How one entry of a layer is made: files, links, devices, whiteouts. LayerApplier (layer_apply.h) drives it.
#pragma once

#include <cerrno>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/error.h"
#include "base/fd.h"
#include "image/layer_apply.h"
#include "image/layer_tree.h"
#include "image/tar_reader.h"

namespace jigsaw::image {

// An entry's name without "." and "//", and with ".." taken away as far as it goes: relative to the root, "" is the
// root itself. Throws if it has more than kDepthLimit parts or one that no file system takes.
std::string clean_path(std::string_view name);

// Where aufs put files that have several names, called after their inodes: the names in the tree are hard links to them.
inline constexpr const char* kPseudoLinks = ".wh..wh.plnk";

EntryAttributes attributes_of_entry(const TarEntry& entry);

// Makes something under a name that should be free. If it is not, what is there goes first. `call` returns < 0 with
// errno set when it fails.
template <class Call>
auto make_or_replace(LayerTree& tree, const std::string& name, std::string_view what, Call call) {
  auto rc = call();
  if (rc < 0 && errno == EEXIST) {
    tree.remove(name);
    rc = call();
  }
  return check(rc, "make {}", what);
}

class EntryMaker : public TarSink {
 public:
  EntryMaker(LayerTree& tree, LayerForm form, LayerFacts& facts) : tree_(tree), form_(form), facts_(facts) {}

  void begin(const TarEntry& entry) override;
  void data(uint64_t offset, std::string_view bytes) override;
  void end() override;

  // A hard link to something that only the parents can have; "" if there is none. What was written is not complete.
  const std::string& waits_for() const { return waits_for_; }
  void drop_idle_whiteouts(const LayerParents& parents);
  // At the end of the archive: aufs' pseudo links have done their work.
  void drop_pseudo_links();

 private:
  void make(const TarEntry& entry);
  void make_root(const TarEntry& entry);
  void make_directory(const TarEntry& entry);
  void make_file(const TarEntry& entry);
  void make_pseudo_link(const TarEntry& entry);
  void make_hard_link(const TarEntry& entry);
  void describe_link(int directory, const TarEntry& entry);
  void make_symlink(const TarEntry& entry);
  void make_special(const TarEntry& entry);
  bool copy_up(const std::string& target);
  void finish_file();

  void white_out(const std::string& parent, const std::string& name);
  void white_out_overlay(const std::string& parent, const std::string& name);
  void white_out_plain(const std::string& parent, const std::string& name);
  void drop_copies(const std::string& path);
  void clear_opaque(const std::string& parent);
  void clear_untouched(const std::string& directory);
  void touch(const std::string& path);
  bool touched(const std::string& path) const { return touched_.contains(path); }

  LayerTree& tree_;
  LayerForm form_;
  LayerFacts& facts_;

  std::string name_;    // of the entry at hand, clean
  std::string parent_;  // its directory and its last part
  std::string base_;
  Fd file_;             // being written
  uint64_t position_ = 0;
  uint64_t size_ = 0;
  bool in_setgid_ = false;
  EntryAttributes attributes_;

  std::unordered_set<std::string> touched_;  // kPlain: what this layer wrote, and the directories above it
  std::unordered_set<std::string> left_out_; // devices that could not be made
  std::set<std::string> copied_up_;  // files of the parents, here for the sake of a hard link
  Fd pseudo_links_;                  // the directory of aufs' hard links, while the layer is being read
  std::string waits_for_;
};

}  // namespace jigsaw::image
