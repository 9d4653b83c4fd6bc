#include <linux/mount.h>
#include <sys/mount.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "rootfs/mounts.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

namespace jigsaw::rootfs {
namespace {

struct Attribute {
  uint64_t set = 0;
  uint64_t clear = 0;
};

// Access times are one field, not bits: whoever sets one clears the field first.
constexpr Attribute access_time(uint64_t value) { return {value, MOUNT_ATTR__ATIME}; }

const std::map<std::string_view, Attribute>& attributes() {
  static const std::map<std::string_view, Attribute> known = {
      {"ro", {MOUNT_ATTR_RDONLY, 0}},         {"rw", {0, MOUNT_ATTR_RDONLY}},
      {"nosuid", {MOUNT_ATTR_NOSUID, 0}},     {"suid", {0, MOUNT_ATTR_NOSUID}},
      {"nodev", {MOUNT_ATTR_NODEV, 0}},       {"dev", {0, MOUNT_ATTR_NODEV}},
      {"noexec", {MOUNT_ATTR_NOEXEC, 0}},     {"exec", {0, MOUNT_ATTR_NOEXEC}},
      {"nodiratime", {MOUNT_ATTR_NODIRATIME, 0}}, {"diratime", {0, MOUNT_ATTR_NODIRATIME}},
      {"nosymfollow", {MOUNT_ATTR_NOSYMFOLLOW, 0}}, {"symfollow", {0, MOUNT_ATTR_NOSYMFOLLOW}},
      {"relatime", access_time(MOUNT_ATTR_RELATIME)}, {"norelatime", access_time(MOUNT_ATTR_STRICTATIME)},
      {"strictatime", access_time(MOUNT_ATTR_STRICTATIME)}, {"nostrictatime", access_time(MOUNT_ATTR_RELATIME)},
      {"noatime", access_time(MOUNT_ATTR_NOATIME)}, {"atime", access_time(MOUNT_ATTR_RELATIME)},
  };
  return known;
}

// Words that the kernel takes among the options of whatever file system (fs_context.c): they are handed on.
constexpr const char* kOfEveryFileSystem[] = {"sync", "dirsync", "lazytime", "nolazytime", "mand", "nomand"};

const std::map<std::string_view, uint64_t>& propagations() {
  static const std::map<std::string_view, uint64_t> known = {
      {"private", MS_PRIVATE}, {"slave", MS_SLAVE}, {"shared", MS_SHARED}, {"unbindable", MS_UNBINDABLE},
      {"rprivate", MS_PRIVATE | MS_REC}, {"rslave", MS_SLAVE | MS_REC}, {"rshared", MS_SHARED | MS_REC},
      {"runbindable", MS_UNBINDABLE | MS_REC}};
  return known;
}

// Words with a meaning of their own; true if `word` was one.
bool take_special(Mount& mount, std::string_view word) {
  if (word == "bind" || word == "rbind") {  // both together: with all that is below, in whatever order
    mount.kind = word == "rbind" || mount.kind == MountKind::kRecursiveBind ? MountKind::kRecursiveBind : MountKind::kBind;
  } else if (word == "tmpcopyup") {
    mount.copy_up = true;
  } else if (word == "src-nofollow" || word == "copy-symlink") {
    mount.keep_source_link = true;
  } else if (word == "idmap" || word == "ridmap") {
    mount.id_map = true;
    mount.id_map_recursive = word == "ridmap";
  } else if (word != "defaults" && word != "remount" && word != "async" && word != "loud" &&
             word != "silent" && word != "iversion" && word != "noiversion" && word != "nofail" && word != "_netdev" && !word.empty()) {
    return false;
  }
  return true;
}

}  // namespace

void apply_options(Mount& mount, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (const auto found = attributes().find(word); found != attributes().end()) {
      const auto& [set, clear] = found->second;
      mount.set = (mount.set & ~(clear | set)) | set;
      mount.clear = (mount.clear & ~set) | clear;
    } else if (const auto below = word.starts_with('r') ? attributes().find(std::string_view(word).substr(1)) : attributes().end();
               below != attributes().end()) {
      const auto& [set, clear] = below->second;
      mount.recursive_set = (mount.recursive_set & ~(clear | set)) | set;
      mount.recursive_clear = (mount.recursive_clear & ~set) | clear;
    } else if (const auto spread = propagations().find(word); spread != propagations().end()) {
      mount.propagation.push_back(spread->second);
    } else if (!take_special(mount, word)) {
      mount.options.push_back(word);
    }
  }
}

std::vector<std::string> known_options() {
  std::vector<std::string> words = {"bind", "rbind", "tmpcopyup", "src-nofollow", "copy-symlink", "idmap", "ridmap",
                                    "defaults", "remount", "async", "silent", "loud", "iversion", "noiversion"};
  words.insert(words.end(), std::begin(kOfEveryFileSystem), std::end(kOfEveryFileSystem));
  for (const auto& [word, attribute] : attributes()) {
    words.emplace_back(word);
    words.push_back(fmt::format("r{}", word));
  }
  for (const auto& [word, flag] : propagations()) {
    words.emplace_back(word);
  }
  std::sort(words.begin(), words.end());
  return words;
}

}  // namespace jigsaw::rootfs
