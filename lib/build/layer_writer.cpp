#include "build/layer_writer.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/error.h"
#include "base/files.h"
#include "base/interruption.h"
#include "build/glob.h"
#include "unionfs/whiteout.h"

namespace jigsaw::build {
namespace {

constexpr size_t kOpenDirectories = 48;
constexpr size_t kCopyInKernel = 128 << 10;  // bytes; below that, read and write cost less

std::vector<std::string> with_upper(const std::string& upper, const std::vector<std::string>& lowers) {
  std::vector<std::string> layers{upper};
  layers.insert(layers.end(), lowers.begin(), lowers.end());
  return layers;
}

std::array<timespec, 2> times_of(const Attributes& attributes) {
  const timespec now{0, UTIME_NOW};
  return {attributes.time.value_or(now), attributes.time.value_or(now)};
}

std::vector<std::string> attribute_names(int fd) {
  const ssize_t size = ::flistxattr(fd, nullptr, 0);
  if (size <= 0) {
    return {};
  }
  std::string names(static_cast<size_t>(size), '\0');
  const ssize_t got = ::flistxattr(fd, names.data(), names.size());
  std::vector<std::string> result;
  for (size_t at = 0; got > 0 && at < static_cast<size_t>(got);) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    if (!unionfs::is_overlay_attribute(name) && name != "security.selinux") {
      result.push_back(name);
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::optional<std::string> attribute_value(int fd, const std::string& name) {
  std::string value(256, '\0');
  ssize_t got = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
  if (got < 0 && errno == ERANGE) {
    value.resize(64 << 10);
    got = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
  }
  if (got < 0) {
    return std::nullopt;
  }
  value.resize(static_cast<size_t>(got));
  return value;
}

}  // namespace

LayerWriter::LayerWriter(const std::string& upper, const std::vector<std::string>& lowers)
    : tree_(with_upper(upper, lowers)), upper_(files::open(upper, O_RDONLY | O_DIRECTORY)) {}

int LayerWriter::directory(const std::string& path) {
  if (path == "/") {
    return upper_.get();
  }
  if (const auto found = open_.find(path); found != open_.end()) {
    return found->second.get();
  }
  const Tree::DirectoryHandle known = tree_.directory(path);
  if (known == nullptr) {
    throw system_error(tree_.find(path) ? ENOTDIR : ENOENT, fmt::format("open the directory {}", path));
  }
  const int parent = directory(parent_path(path));
  const std::string name = base_name(path);
  if (known->parts.front().layer != 0) {
    const int below = known->parts.front().fd.get();
    struct stat status {};
    check(::fstat(below, &status), "stat {}", path);
    check(::mkdirat(parent, name.c_str(), 0700), "make directory {}", path);
    const Fd made = files::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    copy_attributes(below, made.get());
    set_attributes(made.get(), path, {{status.st_uid, status.st_gid}, status.st_mode & 07777, status.st_mtim});
    tree_.forget(path);
  }
  if (open_.size() >= kOpenDirectories) {
    open_.clear();
  }
  // The parent may be closed by the clear() above, so it is opened before.
  Fd fd = files::open_at(upper_.get(), path.substr(1), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return (open_[path] = std::move(fd)).get();
}

void LayerWriter::make_directory(const std::string& path, const Attributes& attributes) {
  const bool hid_something = remove_whiteout(path);
  const int parent = directory(parent_path(path));
  const std::string name = base_name(path);
  check(::mkdirat(parent, name.c_str(), 0700), "make directory {}", path);
  const Fd made = files::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (hid_something) {
    unionfs::make_opaque(made.get(), unionfs::usable_xattrs(), path);
  }
  set_attributes(made.get(), path, attributes);
  tree_.forget(path);
}

std::vector<std::string> LayerWriter::make_directories(const std::string& path, const Attributes& attributes) {
  const std::optional<Tree::Node> node = tree_.find(path);
  if (node) {
    if (!S_ISDIR(node->status.st_mode)) {
      throw system_error(ENOTDIR, fmt::format("make directory {}", path))
          .with_hint("the image has something else of this name there: remove it before, or choose another place");
    }
    return {};
  }
  std::vector<std::string> made = make_directories(parent_path(path), attributes);
  Attributes own = attributes;
  if (const std::optional<Tree::Node> parent = tree_.find(parent_path(path)); parent && (parent->status.st_mode & S_ISGID) != 0) {
    // As mkdir(2) does it: the bit goes on, and the group with it unless another owner is asked for.
    own.mode |= S_ISGID;
    own.owner.gid = own.owner == Owner{} ? parent->status.st_gid : own.owner.gid;
  }
  make_directory(path, own);
  made.push_back(path);
  return made;
}

bool LayerWriter::remove_whiteout(const std::string& path) {
  const int parent = directory(parent_path(path));
  const std::string name = base_name(path);
  struct stat status {};
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !unionfs::is_whiteout(status)) {
    return false;
  }
  check(::unlinkat(parent, name.c_str(), 0), "remove the whiteout of {}", path);
  return true;
}

void LayerWriter::make_room(const std::string& path) {
  const Tree::DirectoryHandle parent = tree_.directory(parent_path(path));
  const std::optional<Tree::Node> node = parent == nullptr ? std::nullopt : tree_.find(parent, base_name(path));
  if (!node) {
    remove_whiteout(path);
    return;
  }
  if (S_ISDIR(node->status.st_mode)) {
    throw fail("cannot replace the directory {} with a file", path)
        .with_hint(fmt::format("end the destination with '/' to copy into {}", path));
  }
  if (node->layer == 0) {
    check(::unlinkat(directory(parent_path(path)), base_name(path).c_str(), 0), "remove {}", path);
  }
}

Fd LayerWriter::create_file(const std::string& path) {
  make_room(path);
  return files::open_at(directory(parent_path(path)), base_name(path), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
}

void LayerWriter::make_link(const std::string& path, const std::string& target, const Attributes& attributes) {
  make_room(path);
  const int parent = directory(parent_path(path));
  const std::string name = base_name(path);
  check(::symlinkat(target.c_str(), parent, name.c_str()), "make link {}", path);
  check(::fchownat(parent, name.c_str(), attributes.owner.uid, attributes.owner.gid, AT_SYMLINK_NOFOLLOW),
        "change the owner of {}", path);
  check(::utimensat(parent, name.c_str(), times_of(attributes).data(), AT_SYMLINK_NOFOLLOW), "set the times of {}",
        path);
}

void LayerWriter::make_hard_link(const std::string& path, const std::string& existing) {
  make_room(path);
  const Fd source = duplicate(directory(parent_path(existing)));
  check(::linkat(source.get(), base_name(existing).c_str(), directory(parent_path(path)), base_name(path).c_str(), 0),
        "link {} to {}", path, existing);
}

void LayerWriter::make_node(const std::string& path, mode_t type, dev_t device, const Attributes& attributes) {
  make_room(path);
  const int parent = directory(parent_path(path));
  const std::string name = base_name(path);
  check(::mknodat(parent, name.c_str(), type | 0600, device), "make node {}", path);
  check(::fchownat(parent, name.c_str(), attributes.owner.uid, attributes.owner.gid, AT_SYMLINK_NOFOLLOW),
        "change the owner of {}", path);
  check(::fchmodat(parent, name.c_str(), attributes.mode, 0), "change the mode of {}", path);
  check(::utimensat(parent, name.c_str(), times_of(attributes).data(), AT_SYMLINK_NOFOLLOW), "set the times of {}",
        path);
}

void LayerWriter::remove(const std::string& path) {
  const std::optional<Tree::Node> node = tree_.find(path);
  if (!node) {
    return;
  }
  const int parent = directory(parent_path(path));
  const std::string name = base_name(path);
  files::remove_tree_at(parent, name);
  open_.clear();
  tree_.forget_all();
  if (tree_.find(path)) {
    unionfs::make_whiteout(directory(parent_path(path)), name);
  }
}

void LayerWriter::set_attributes(int fd, const std::string& path, const Attributes& attributes) {
  check(::fchown(fd, attributes.owner.uid, attributes.owner.gid), "change the owner of {}", path);
  check(::fchmod(fd, attributes.mode & 07777), "change the mode of {}", path);
  check(::futimens(fd, times_of(attributes).data()), "set the times of {}", path);
}

void copy_attributes(int source, int target) {
  for (const std::string& name : attribute_names(source)) {
    if (const std::optional<std::string> value = attribute_value(source, name)) {
      if (::fsetxattr(target, name.c_str(), value->data(), value->size(), 0) != 0 && errno != ENOTSUP &&
          errno != EPERM && errno != EINVAL) {
        throw system_error(errno, fmt::format("set the attribute {}", name));
      }
    }
  }
}

std::string attributes_text(int fd) {
  std::string result;
  for (const std::string& name : attribute_names(fd)) {
    if (const std::optional<std::string> value = attribute_value(fd, name)) {
      result += fmt::format("{}={}:{}\n", name, value->size(), *value);
    }
  }
  return result;
}

void copy_content(int source, int target, const std::string& name) {
  struct stat status {};
  check(::fstat(source, &status), "stat {}", name);
  auto left = static_cast<uint64_t>(status.st_size);
  while (left >= kCopyInKernel) {
    Interruption::check();
    const ssize_t got = ::copy_file_range(source, nullptr, target, nullptr, left, 0);
    if (got <= 0) {
      break;  // another file system, or one that can't: read and write below
    }
    left -= static_cast<uint64_t>(got);
  }
  static thread_local const auto buffer = std::make_unique<char[]>(kCopyInKernel);
  while (true) {
    Interruption::check();
    const ssize_t got = ::read(source, buffer.get(), kCopyInKernel);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (check(got, "read {}", name) == 0) {
      return;
    }
    files::write_all(target, {buffer.get(), static_cast<size_t>(got)}, name);
  }
}

}  // namespace jigsaw::build
