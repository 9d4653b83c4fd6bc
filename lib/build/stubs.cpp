#include "build/stubs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/files.h"
#include "base/text.h"
#include "build/glob.h"
#include "build/layer_writer.h"
#include "unionfs/whiteout.h"

namespace jigsaw::build {
namespace {

bool is_kernels_own(const std::string& path) {
  for (const char* top : {"/proc", "/dev", "/sys"}) {
    if (path == top || path.starts_with(std::string(top) + "/")) {
      return true;
    }
  }
  return false;
}

// The directory `path` below `root`, without following any link.
std::optional<Fd> open_directory(int root, const std::string& path) {
  Fd at = duplicate(root);
  for (const std::string_view part : text::split(path, '/')) {
    if (part.empty()) {
      continue;
    }
    const int fd = ::openat(at.get(), std::string(part).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
      return std::nullopt;
    }
    at = Fd(fd);
  }
  return at;
}

void remove_if_empty(int root, const std::string& path) {
  const std::optional<Fd> parent = open_directory(root, parent_path(path));
  struct stat status {};
  const std::string name = base_name(path);
  if (!parent || ::fstatat(parent->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return;
  }
  if (S_ISDIR(status.st_mode)) {
    ::unlinkat(parent->get(), name.c_str(), AT_REMOVEDIR);  // fails if it is not empty: then it is no stub any more
  } else if (S_ISREG(status.st_mode) && status.st_size == 0) {
    ::unlinkat(parent->get(), name.c_str(), 0);
  }
}

// A directory of the upper that holds nothing and says nothing that the one below does not say.
bool is_idle_copy(const std::optional<Fd>& copy, const std::optional<Tree::Node>& below) {
  struct stat status {};
  if (!copy || !below || ::fstat(copy->get(), &status) != 0 || !S_ISDIR(below->status.st_mode)) {
    return false;
  }
  return files::list_fd(copy->get()).empty() && !unionfs::is_opaque(copy->get(), unionfs::usable_xattrs()) &&
         status.st_mode == below->status.st_mode && status.st_uid == below->status.st_uid &&
         status.st_gid == below->status.st_gid;
}

}  // namespace

Stubs::Stubs(Tree& image, const runtime::Spec& spec) {
  for (const runtime::MountPoint& mount : spec.mounts) {
    std::string path = image.resolve(mount.destination);
    if (is_kernels_own(path)) {
      continue;
    }
    missing_.push_back(path);
    while (path != "/" && !image.find(path)) {
      missing_.push_back(path);
      path = parent_path(path);
    }
    if (image.find(missing_.back())) {
      missing_.pop_back();
    }
  }
  std::sort(missing_.begin(), missing_.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  missing_.erase(std::unique(missing_.begin(), missing_.end()), missing_.end());
}

void Stubs::remove_from(const std::string& upper, const std::vector<std::string>& lowers) const {
  const Fd root = files::open(upper, O_RDONLY | O_DIRECTORY);
  Tree below(lowers);
  for (const std::string& path : missing_) {
    remove_if_empty(root.get(), path);
    for (std::string above = parent_path(path); above != "/"; above = parent_path(above)) {
      if (!is_idle_copy(open_directory(root.get(), above), below.find(above))) {
        break;
      }
      const std::optional<Fd> parent = open_directory(root.get(), parent_path(above));
      if (!parent || ::unlinkat(parent->get(), base_name(above).c_str(), AT_REMOVEDIR) != 0) {
        break;
      }
    }
  }
}

}  // namespace jigsaw::build
