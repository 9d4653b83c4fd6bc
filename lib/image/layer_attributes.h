// Attributes of what a layer holds: owner, mode, time, extended attributes, set in the order that keeps each of them
// (chown clears setuid bits and file capabilities, every write changes the time).
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "image/layer_apply.h"

namespace jigsaw::image {

struct EntryAttributes {
  mode_t mode = 0755;
  uint64_t uid = 0;
  uint64_t gid = 0;
  timespec mtime{};
  std::map<std::string, std::string> xattrs{};
};

EntryAttributes attributes_of(const struct stat& status);  // without xattrs

// The access list that everything new in a directory would get. It is taken away from the directory while a layer is put into
// it: the layer says itself what its files have. Nothing if there is none.
inline constexpr const char* kDefaultAccessList = "system.posix_acl_default";
std::optional<std::string> take_default_access_list(int directory);

// Sets attributes for one layer: knows who we are, and warns once of a kind.
class AttributeSetter {
 public:
  explicit AttributeSetter(Privilege privilege);

  // What a file was made with, so that calls which change nothing are left out.
  struct Made {
    bool fresh = false;           // owner is ours, mode went through the umask
    bool in_setgid_directory = false;
    bool owner_is_right = false;  // it was looked at
  };
  void set(int fd, const EntryAttributes& attributes, Made made, std::string_view name);
  // For a link or special file, which can't be opened; a link has no mode.
  enum class HasMode { kYes, kNo };
  void set_at(int directory, const std::string& entry, const EntryAttributes& attributes, HasMode has_mode, Made made);
  // Removes extended attributes that `attributes` does not have.
  void clear_xattrs(int fd, const EntryAttributes& attributes);

 private:
  bool is_ours(uint32_t uid, uint32_t gid, Made made) const {
    return made.owner_is_right || (made.fresh && uid == uid_ && gid == gid_ && !made.in_setgid_directory);
  }
  bool tolerated(int error) const;
  void set_xattr(const std::string& path, int fd, const std::string& key, const std::string& value, std::string_view name);

  Privilege privilege_;
  uint64_t uid_;
  uint64_t gid_;
  mode_t umask_;
  bool warned_owner_ = false;
  bool warned_xattr_ = false;
};

}  // namespace jigsaw::image
