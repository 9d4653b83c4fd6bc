// The directory that a layer is written into, reached by descriptors only.
//
// enter() walks from the root to a directory one name at a time, with O_NOFOLLOW: a symbolic link on the way is read
// and followed by hand within the root, as if the root were "/". The descriptors of the way are kept, so that the next
// entry, which is nearly always beside the last one, costs no walk; of a very deep way only the last ones stay open.
// Attributes of directories are collected and set at the end, when nothing more is written into them.
#pragma once

#include <sys/stat.h>

#include <ctime>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "image/layer_apply.h"
#include "image/layer_attributes.h"
#include "image/layer_parents.h"

namespace jigsaw::image {

inline constexpr size_t kDepthLimit = 4096;  // directories within one another

// A directory whose attributes are still to be set.
struct PendingDirectory {
  enum class Origin {
    kArchive,   // described by the layer, or copied from the parents
    kImplicit,  // made because something lies in it: takes the parents' attributes, if they have it
    kBefore,    // there before: keeps its time (and its mode, if it had to be opened up)
  };
  Origin origin = Origin::kImplicit;
  EntryAttributes attributes{};
  bool existed = false;  // its old extended attributes go
};

class LayerTree {
 public:
  LayerTree(const std::string& directory, const ApplyOptions& options);

  enum class Missing { kMake, kMakeForWhiteout, kLeave };
  // The directory `path` (clean, relative, may lead through links); its descriptor is good until the next call.
  // Nothing if it is not there, or can't be since something on the way is no directory; kMake throws then, and makes
  // what is missing.
  std::optional<int> enter(std::string_view path, Missing missing);
  // Where enter() came to, without links: "" is the root.
  std::string path() const;
  std::string path_of(std::string_view name) const;  // path() + "/" + name
  bool here_is_setgid() const { return way_.back().setgid; }
  // Nothing below this directory shows through: the parents have no say in it.
  bool here_is_detached() const { return way_.back().detached; }

  // Removes `name` in the directory that was entered last, whatever it is, with what is known of it.
  void remove(const std::string& name);
  // The directory `name` in the one entered last hides what lies below it.
  void make_opaque_directory(const std::string& name);
  void set_pending(const std::string& path, PendingDirectory pending) { pending_[path] = std::move(pending); }
  bool is_known(const std::string& path) const { return pending_.contains(path); }
  // Sets what is pending, deepest first.
  void set_attributes();
  // Those that were made before the layer described them, if it ever did, and are not detached; in order.
  std::vector<std::string> implicit_directories() const;
  bool is_still_implicit(const std::string& path) const;
  // Made to hold whiteouts, and nothing else came: if the parents have no such directory, it is not needed.
  bool only_for_whiteouts(const std::string& path) const { return whiteout_only_.contains(path); }
  void restore_attributes(const std::string& path);  // as they were set at the end
  // Sets the attributes of the directory `path` now.
  void set_directory(const std::string& path, const PendingDirectory& pending);

  void note_whiteout(const std::string& path) { whiteouts_.insert(path); }
  std::set<std::string> whiteouts() const { return whiteouts_; }
  void forget_whiteout_only(const std::string& path) { whiteout_only_.erase(path); }

  const LayerParents& parents() const { return parents_; }
  bool depends() const { return depends_; }
  void set_depends() { depends_ = true; }
  unionfs::Xattrs xattrs() const { return xattrs_; }
  Privilege privilege() const { return privilege_; }
  AttributeSetter& setter() { return setter_; }

 private:
  struct Level {
    std::string name;
    Fd fd;
    bool setgid = false;
    bool detached = false;
  };

  bool step(const std::string& name, Missing missing, std::vector<std::string>& rest);
  bool step_over_file(const std::string& name, Missing missing, std::vector<std::string>& rest);                    // in this layer
  bool step_below(const std::string& name, const Below& below, Missing missing, std::vector<std::string>& rest);  // in those below
  bool follow(const std::string& target, std::vector<std::string>& rest);
  void push(const std::string& name, Fd fd);
  void make(const std::string& name, Missing missing);
  void pop_to(size_t size);
  int top();
  void copy_directory(const std::string& name, const Below& below);
  void note_used(size_t level);
  static Fd duplicate_readable(int directory);
  void note_opened(const struct stat& status);

  LayerForm form_;
  Privilege privilege_;
  unionfs::Xattrs xattrs_;
  LayerParents parents_;
  AttributeSetter setter_;
  std::vector<Level> way_;  // way_[0] is the root
  std::string entered_;     // what enter() was asked for last
  bool entered_valid_ = false;
  std::map<std::string, PendingDirectory> pending_;
  std::set<std::string> opaque_;
  std::set<std::string> implicit_;
  std::set<std::string> whiteouts_;
  std::set<std::string> whiteout_only_;
  bool depends_ = false;
  int links_ = 0;
};

}  // namespace jigsaw::image
