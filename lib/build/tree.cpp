#include "build/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "build/glob.h"
#include "unionfs/whiteout.h"

namespace jigsaw::build {
namespace {

constexpr size_t kKnownDirectories = 48;  // descriptors are few: 1024 by default
constexpr int kMaxLinks = 255;

std::string child_path(const std::string& parent, const std::string& name) {
  return parent == "/" ? "/" + name : parent + "/" + name;
}

std::optional<struct stat> status_of(int directory, const std::string& name) {
  struct stat status {};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return status;
  }
  if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) {
    return std::nullopt;
  }
  throw system_error(errno, fmt::format("stat {}", name));
}

unionfs::Xattrs opaque_xattrs() {
  static const unionfs::Xattrs xattrs = unionfs::usable_xattrs();
  return xattrs;
}

}  // namespace

Tree::Tree(std::vector<std::string> layers, Filter filter) : layers_(std::move(layers)), filter_(std::move(filter)) {}

bool Tree::hidden(const Directory& parent, const std::string& name, bool is_directory) const {
  return filter_ && filter_(child_path(parent.path, name), is_directory);
}

Tree::DirectoryHandle Tree::open_root() {
  auto root = std::make_shared<Directory>();
  root->path.assign(1, '/');  // (an assigned "/" makes g++ 12 warn of an overlap)
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    root->parts.push_back({layer, files::open(layers_[layer], O_RDONLY | O_DIRECTORY)});
  }
  return root;
}

Tree::DirectoryHandle Tree::directory(const std::string& path) {
  if (const auto found = known_.find(path); found != known_.end()) {
    return found->second;
  }
  DirectoryHandle handle;
  if (path == "/") {
    handle = open_root();
  } else {
    const DirectoryHandle parent = directory(parent_path(path));
    handle = parent == nullptr ? nullptr : subdirectory(parent, base_name(path));
  }
  if (handle != nullptr) {
    if (known_.size() >= kKnownDirectories) {
      known_.clear();
    }
    known_[path] = handle;
  }
  return handle;
}

Tree::DirectoryHandle Tree::subdirectory(const DirectoryHandle& parent, const std::string& name) {
  auto result = std::make_shared<Directory>();
  result->path = child_path(parent->path, name);
  for (const Directory::Part& part : parent->parts) {
    const std::optional<struct stat> status = status_of(part.fd.get(), name);
    if (!status) {
      continue;
    }
    if (!S_ISDIR(status->st_mode)) {
      break;
    }
    Fd fd = files::open_at(part.fd.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const bool opaque = layers_.size() > 1 && unionfs::is_opaque(fd.get(), opaque_xattrs());
    result->parts.push_back({part.layer, std::move(fd)});
    if (opaque) {
      break;
    }
  }
  if (result->parts.empty() || hidden(*parent, name, true)) {
    return nullptr;
  }
  return result;
}

std::optional<Tree::Node> Tree::find(const DirectoryHandle& parent, const std::string& name) const {
  for (const Directory::Part& part : parent->parts) {
    if (const std::optional<struct stat> status = status_of(part.fd.get(), name)) {
      if (unionfs::is_whiteout(*status) || hidden(*parent, name, S_ISDIR(status->st_mode))) {
        return std::nullopt;
      }
      return Node{*status, part.layer};
    }
  }
  return std::nullopt;
}

std::optional<Tree::Node> Tree::find(const std::string& path) {
  if (path == "/") {
    const DirectoryHandle root = directory("/");
    Node node;
    if (root->parts.empty()) {
      node.status.st_mode = S_IFDIR | 0755;
    } else {
      check(::fstat(root->parts.front().fd.get(), &node.status), "stat {}", layers_.front());
    }
    return node;
  }
  const DirectoryHandle parent = directory(parent_path(path));
  return parent == nullptr ? std::nullopt : find(parent, base_name(path));
}

std::vector<std::string> Tree::list(const DirectoryHandle& directory) const {
  if (directory->parts.size() == 1) {
    return files::list_fd(directory->parts.front().fd.get());
  }
  std::set<std::string> names;
  std::set<std::string> gone;
  for (const Directory::Part& part : directory->parts) {
    for (std::string& name : files::list_fd(part.fd.get())) {
      if (names.contains(name) || gone.contains(name)) {
        continue;
      }
      const std::optional<struct stat> status = status_of(part.fd.get(), name);
      (!status || unionfs::is_whiteout(*status) ? gone : names).insert(std::move(name));
    }
  }
  return {names.begin(), names.end()};
}

namespace {

const Tree::Directory::Part& part_of(const Tree::DirectoryHandle& parent, size_t layer) {
  return *std::find_if(parent->parts.begin(), parent->parts.end(),
                       [&](const Tree::Directory::Part& part) { return part.layer == layer; });
}

}  // namespace

Fd Tree::open_file(const DirectoryHandle& parent, const std::string& name) const {
  const std::optional<Node> node = find(parent, name);
  if (!node) {
    throw system_error(ENOENT, fmt::format("open {}", child_path(parent->path, name)));
  }
  Fd fd = files::open_at(part_of(parent, node->layer).fd.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  struct stat status {};
  check(::fstat(fd.get(), &status), "stat {}", name);
  if (!S_ISREG(status.st_mode)) {
    throw fail("{} is not a regular file", child_path(parent->path, name));
  }
  return fd;
}

std::string Tree::read_link(const DirectoryHandle& parent, const std::string& name) const {
  const std::optional<Node> node = find(parent, name);
  if (!node) {
    throw system_error(ENOENT, fmt::format("read the link {}", child_path(parent->path, name)));
  }
  char target[4097];
  const ssize_t size = check(::readlinkat(part_of(parent, node->layer).fd.get(), name.c_str(), target, sizeof target),
                             "read the link {}", child_path(parent->path, name));
  return {target, static_cast<size_t>(size)};
}

std::string Tree::resolve(const std::string& path, LastLink last, const std::string& root) {
  std::vector<std::string> todo;  // components still to walk, the next one at the back
  const auto push = [&](std::string_view text) {
    std::vector<std::string_view> parts = text::split(text, '/');
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (!part->empty() && *part != ".") {
        todo.emplace_back(*part);
      }
    }
  };
  push(clean_path(path));
  std::string at = root;
  int links = 0;
  while (!todo.empty()) {
    const std::string name = std::move(todo.back());
    todo.pop_back();
    if (name == "..") {
      if (at != root) {
        at = parent_path(at);
      }
      continue;
    }
    const DirectoryHandle parent = directory(at);
    const std::optional<Node> node = parent == nullptr ? std::nullopt : find(parent, name);
    if (!node || !S_ISLNK(node->status.st_mode) || (todo.empty() && last == LastLink::kKeep)) {
      at = child_path(at, name);
      continue;
    }
    if (++links > kMaxLinks) {
      throw system_error(ELOOP, fmt::format("follow the links of {}", path));
    }
    const std::string target = read_link(parent, name);
    if (target.starts_with('/')) {
      at = root;
    }
    push(target);
  }
  return at;
}

std::optional<std::string> Tree::read_file(const std::string& path, size_t limit) {
  const std::string real = resolve(path);
  const DirectoryHandle parent = real == "/" ? nullptr : directory(parent_path(real));
  if (parent == nullptr || !find(parent, base_name(real))) {
    return std::nullopt;
  }
  return files::read_fd(open_file(parent, base_name(real)).get(), path, limit);
}

}  // namespace jigsaw::build
