#include "image/diff.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "image/layer_apply.h"
#include "image/layer_parents.h"

namespace jigsaw::image {
namespace {

LayerParents parents_of(std::vector<std::string> top_first) {
  std::reverse(top_first.begin(), top_first.end());
  return LayerParents(top_first, own_privilege() == Privilege::kRoot ? unionfs::Xattrs::kTrusted : unionfs::Xattrs::kUser);
}

bool same_content(const Fd& one, const Fd& other) {
  const Fd a = files::open(fmt::format("/proc/self/fd/{}", one.get()), O_RDONLY);
  const Fd b = files::open(fmt::format("/proc/self/fd/{}", other.get()), O_RDONLY);
  std::string left(64U << 10, '\0');
  std::string right(left.size(), '\0');
  while (true) {
    const ssize_t got = check(::read(a.get(), left.data(), left.size()), "read a file of an image");
    const ssize_t too = check(::read(b.get(), right.data(), right.size()), "read a file of an image");
    if (got != too || left.compare(0, static_cast<size_t>(got), right, 0, static_cast<size_t>(too)) != 0) {
      return false;
    }
    if (got == 0) {
      return true;
    }
  }
}

std::string what_changed(const Below& before, const Below& after) {
  const struct stat& a = before.status;
  const struct stat& b = after.status;
  if (a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
    return "";
  }
  if ((a.st_mode & S_IFMT) != (b.st_mode & S_IFMT)) {
    return "type";
  }
  std::vector<std::string> changes;
  if (before.target != after.target || a.st_rdev != b.st_rdev ||
      (S_ISREG(a.st_mode) && (a.st_size != b.st_size || !same_content(before.entry, after.entry)))) {
    changes.emplace_back("content");
  }
  if (a.st_mode != b.st_mode) {
    changes.push_back(fmt::format("mode {:04o} -> {:04o}", a.st_mode & 07777U, b.st_mode & 07777U));
  }
  if (a.st_uid != b.st_uid || a.st_gid != b.st_gid) {
    changes.push_back(fmt::format("owner {}:{} -> {}:{}", a.st_uid, a.st_gid, b.st_uid, b.st_gid));
  }
  return text::join(changes, ", ");
}

class Comparison {
 public:
  Comparison(const LayerParents& before, const LayerParents& after) : before_(before), after_(after) {}

  void directory(const std::string& path) {
    const std::vector<std::string> old_names = before_.list(path);
    const std::vector<std::string> new_names = after_.list(path);
    std::vector<std::string> all;
    std::set_union(old_names.begin(), old_names.end(), new_names.begin(), new_names.end(), std::back_inserter(all));
    for (const std::string& name : all) {
      entry(path.empty() ? name : fmt::format("{}/{}", path, name));
    }
  }
  std::vector<Difference> result() && { return std::move(result_); }

 private:
  void entry(const std::string& path) {
    const Below before = before_.find(path);
    const Below after = after_.find(path);
    using Kind = Difference::Kind;
    if (before.kind == Below::Kind::kNothing || after.kind == Below::Kind::kNothing) {
      result_.push_back({before.kind == Below::Kind::kNothing ? Kind::kAdded : Kind::kDeleted, "/" + path, ""});
      return;
    }
    if (const std::string change = what_changed(before, after); !change.empty()) {
      result_.push_back({Kind::kChanged, "/" + path, change});
    }
    if (before.kind == Below::Kind::kDirectory && after.kind == Below::Kind::kDirectory) {
      directory(path);
    }
  }

  const LayerParents& before_;
  const LayerParents& after_;
  std::vector<Difference> result_;
};

}  // namespace

std::vector<Difference> difference(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  const LayerParents old_tree = parents_of(before);
  const LayerParents new_tree = parents_of(after);
  Comparison comparison(old_tree, new_tree);
  comparison.directory("");
  return std::move(comparison).result();
}

}  // namespace jigsaw::image
