#include "image/layer_parents.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::image {
namespace {

std::string read_link(int fd) {
  std::string target(4096, '\0');
  const ssize_t size = check(::readlinkat(fd, "", target.data(), target.size()), "read a link");
  target.resize(static_cast<size_t>(size));
  return target;
}

template <class List, class Get>
std::map<std::string, std::string> collect_xattrs(List list, Get get) {
  std::map<std::string, std::string> result;
  const ssize_t size = list(nullptr, 0);
  if (size <= 0) {
    return result;  // none, or a file system that has none
  }
  std::string names(static_cast<size_t>(size), '\0');
  names.resize(static_cast<size_t>(check(list(names.data(), names.size()), "list extended attributes")));
  for (const std::string_view name : text::split(names, '\0')) {
    if (name.empty() || unionfs::is_overlay_attribute(name)) {
      continue;
    }
    const std::string key(name);
    std::string value(65536, '\0');
    const ssize_t got = get(key.c_str(), value.data(), value.size());
    if (got >= 0) {
      value.resize(static_cast<size_t>(got));
      result[key] = std::move(value);
    }
  }
  return result;
}

}  // namespace

LayerParents::LayerParents(const std::vector<std::string>& directories, unionfs::Xattrs xattrs) : xattrs_(xattrs) {
  for (auto directory = directories.rbegin(); directory != directories.rend(); ++directory) {
    roots_.push_back(files::open(*directory, O_RDONLY | O_DIRECTORY));
  }
}

std::vector<Fd> LayerParents::stack(const std::string& path, Below* other) const {
  std::vector<Fd> current;
  for (const Fd& root : roots_) {
    current.push_back(duplicate(root.get()));
  }
  const auto parts = path.empty() ? std::vector<std::string_view>() : text::split(path, '/');
  for (size_t i = 0; i < parts.size() && !current.empty(); ++i) {
    const std::string name(parts[i]);
    std::vector<Fd> next;
    for (const Fd& directory : current) {
      struct stat status {};
      if (::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        continue;
      }
      if (!S_ISDIR(status.st_mode)) {
        if (next.empty() && i + 1 == parts.size() && !unionfs::is_whiteout(status) && other != nullptr) {
          other->status = status;
          other->entry = files::open_at(directory.get(), name, O_PATH | O_NOFOLLOW);
          other->kind = S_ISLNK(status.st_mode) ? Below::Kind::kSymlink : Below::Kind::kOther;
          other->target = S_ISLNK(status.st_mode) ? read_link(other->entry.get()) : "";
        }
        break;
      }
      next.push_back(files::open_at(directory.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      if (unionfs::is_opaque(next.back().get(), xattrs_)) {
        break;
      }
    }
    current = std::move(next);
  }
  return current;
}

Below LayerParents::find(const std::string& path) const {
  Below result;
  std::vector<Fd> merged = stack(path, &result);
  if (!merged.empty()) {
    result.entry = std::move(merged.front());
    check(::fstat(result.entry.get(), &result.status), "stat a directory below");
    result.kind = Below::Kind::kDirectory;
  }
  return result;
}

std::vector<std::string> LayerParents::list(const std::string& path) const {
  std::map<std::string, bool> names;  // whether the uppermost entry is something, not a whiteout
  for (const Fd& directory : stack(path, nullptr)) {
    for (const std::string& name : files::list_fd(directory.get())) {
      if (!names.contains(name)) {
        struct stat status {};
        check(::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat {}", text::quoted(name));
        names[name] = !unionfs::is_whiteout(status);
      }
    }
  }
  std::vector<std::string> result;
  for (const auto& [name, there] : names) {
    if (there) {
      result.push_back(name);
    }
  }
  return result;
}

std::map<std::string, std::string> read_xattrs(int fd) {
  return collect_xattrs([&](char* to, size_t size) { return ::flistxattr(fd, to, size); },
                        [&](const char* name, char* to, size_t size) { return ::fgetxattr(fd, name, to, size); });
}

std::map<std::string, std::string> read_xattrs_of(const std::string& path) {
  return collect_xattrs(
      [&](char* to, size_t size) { return ::llistxattr(path.c_str(), to, size); },
      [&](const char* name, char* to, size_t size) { return ::lgetxattr(path.c_str(), name, to, size); });
}

}  // namespace jigsaw::image
