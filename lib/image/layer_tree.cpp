#include "image/layer_tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::image {
namespace {

constexpr size_t kOpenLevels = 64;   // descriptors of a way that stay open
constexpr int kLinkLimit = 255;      // symbolic links followed for one path
constexpr size_t kChunk = 3000;      // bytes of a path that is opened at once

constexpr int kDirectoryFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

std::vector<std::string> reversed_parts(std::string_view path) {
  std::vector<std::string> result;
  for (const std::string_view part : text::split(path, '/')) {
    if (!part.empty() && part != ".") {
      result.emplace_back(part);
    }
  }
  std::reverse(result.begin(), result.end());
  return result;
}

std::string read_link_at(int directory, const std::string& name) {
  std::string target(4096, '\0');
  const ssize_t size = check(::readlinkat(directory, name.c_str(), target.data(), target.size()), "read the link {}", name);
  target.resize(static_cast<size_t>(size));
  return target;
}

int open_beneath(int directory, const std::string& path) {
  open_how how{};
  how.flags = kDirectoryFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return static_cast<int>(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how));
}

}  // namespace

LayerTree::LayerTree(const std::string& directory, const ApplyOptions& options)
    : form_(options.form),
      privilege_(options.privilege),
      xattrs_(options.privilege == Privilege::kRoot ? unionfs::Xattrs::kTrusted : unionfs::Xattrs::kUser),
      parents_(options.parents, xattrs_),
      setter_(options.privilege) {
  push("", files::open(directory, O_RDONLY | O_DIRECTORY));
  if (form_ == LayerForm::kOverlay) {
    take_default_access_list(way_.back().fd.get());  // one of the store's directory is not the image's
  }
  depends_ = !options.parents.empty();
}

std::string LayerTree::path() const {
  std::string result;
  for (size_t i = 1; i < way_.size(); ++i) {
    result += (i > 1 ? "/" : "") + way_[i].name;
  }
  return result;
}

std::string LayerTree::path_of(std::string_view name) const {
  std::string result = path();
  return result.empty() ? std::string(name) : fmt::format("{}/{}", result, name);
}

void LayerTree::pop_to(size_t size) {
  while (way_.size() > size) {
    way_.pop_back();
  }
}

// The descriptor of the last directory; opened again if it was closed for being far up a very deep way.
int LayerTree::top() {
  if (way_.back().fd) {
    return way_.back().fd.get();
  }
  size_t from = way_.size() - 1;
  while (!way_[from].fd) {
    --from;
  }
  Fd fd;
  int at = way_[from].fd.get();
  while (++from < way_.size()) {
    std::string chunk = way_[from].name;
    while (from + 1 < way_.size() && chunk.size() < kChunk) {
      chunk += "/" + way_[++from].name;
    }
    fd = Fd(check(open_beneath(at, chunk), "open {}", chunk));
    at = fd.get();
  }
  way_.back().fd = std::move(fd);
  return way_.back().fd.get();
}

void LayerTree::push(const std::string& name, Fd fd) {
  if (way_.size() > kDepthLimit) {
    throw fail("more than {} directories within one another", kDepthLimit);
  }
  struct stat status {};
  check(::fstat(fd.get(), &status), "stat {}", name);
  const bool above = !way_.empty() && way_.back().detached;
  way_.push_back(Level{name, std::move(fd), (status.st_mode & S_ISGID) != 0, above});
  if (!opaque_.empty() && !above && opaque_.contains(path())) {
    way_.back().detached = true;
  }
  if (form_ == LayerForm::kPlain) {
    note_opened(status);
  }
  if (way_.size() > kOpenLevels + 1) {
    way_[way_.size() - kOpenLevels - 1].fd.reset();
  }
}

// In plain form a directory of the lower layers keeps its time although something is put into it, and its access list.
void LayerTree::note_opened(const struct stat& status) {
  const auto [entry, is_new] = pending_.try_emplace(path());
  if (!is_new && (entry->second.origin == PendingDirectory::Origin::kBefore || !entry->second.existed)) {
    return;
  }
  auto list = take_default_access_list(way_.back().fd.get());
  if (!is_new) {
    return;  // the layer says what the directory has in the end
  }
  entry->second = {.origin = PendingDirectory::Origin::kBefore, .attributes = attributes_of(status), .existed = true};
  if (list) {
    entry->second.attributes.xattrs[kDefaultAccessList] = std::move(*list);
  }
  if (privilege_ == Privilege::kRootless && (status.st_mode & 0700) != 0700) {
    const int directory = way_.size() > 1 ? way_[way_.size() - 2].fd.get() : AT_FDCWD;
    if (way_.size() > 1) {
      ::fchmodat(directory, way_.back().name.c_str(), status.st_mode | 0700U, 0);
    }
  }
}

std::optional<int> LayerTree::enter(std::string_view wanted, Missing missing) {
  if (entered_valid_ && wanted == entered_ && missing == Missing::kMake) {
    return top();
  }
  entered_valid_ = false;
  links_ = 0;
  std::vector<std::string> rest = reversed_parts(wanted);
  size_t common = 1;  // the way may already lead there, or nearly
  while (common < way_.size() && !rest.empty() && way_[common].name == rest.back()) {
    rest.pop_back();
    ++common;
  }
  pop_to(common);
  if (missing == Missing::kMake) {
    for (size_t i = 1; i < way_.size() && !whiteout_only_.empty(); ++i) {
      note_used(i);
    }
  }
  while (!rest.empty()) {
    const std::string name = std::move(rest.back());
    rest.pop_back();
    if (name == "..") {
      pop_to(std::max<size_t>(way_.size() - 1, 1));
    } else if (!step(name, missing, rest)) {
      return std::nullopt;
    }
  }
  entered_ = wanted;
  entered_valid_ = missing == Missing::kMake;
  return top();
}

// A directory that was made for a whiteout alone is now needed for something that stays.
void LayerTree::note_used(size_t level) {
  std::string prefix;
  for (size_t i = 1; i <= level; ++i) {
    prefix += (i > 1 ? "/" : "") + way_[i].name;
  }
  whiteout_only_.erase(prefix);
}

bool LayerTree::follow(const std::string& target, std::vector<std::string>& rest) {
  if (++links_ > kLinkLimit) {
    throw system_error(ELOOP, fmt::format("follow {}", text::quoted(target)));
  }
  if (target.starts_with('/')) {
    pop_to(1);
  }
  for (std::string& part : reversed_parts(target)) {
    rest.insert(rest.end(), std::move(part));
  }
  if (rest.size() > kDepthLimit) {
    throw fail("more than {} directories within one another", kDepthLimit);
  }
  return true;
}

bool LayerTree::step(const std::string& name, Missing missing, std::vector<std::string>& rest) {
  const int directory = top();
  Fd fd(::openat(directory, name.c_str(), kDirectoryFlags));
  if (fd) {
    push(name, std::move(fd));
    if (missing == Missing::kMake && !whiteout_only_.empty()) {
      whiteout_only_.erase(path());
    }
    return true;
  }
  if (errno == ENOTDIR || errno == ELOOP) {
    return step_over_file(name, missing, rest);
  }
  if (errno != ENOENT) {
    throw system_error(errno, fmt::format("enter {}", text::quoted(path_of(name))));
  }
  if (form_ == LayerForm::kOverlay && !here_is_detached() && !parents_.empty()) {
    if (const Below below = parents_.find(path_of(name)); below.kind != Below::Kind::kNothing) {
      return step_below(name, below, missing, rest);
    }
  }
  if (missing == Missing::kLeave || (missing == Missing::kMakeForWhiteout && (here_is_detached() || !parents_.empty()))) {
    return false;
  }
  make(name, missing);
  return true;
}

bool LayerTree::step_over_file(const std::string& name, Missing missing, std::vector<std::string>& rest) {
  const int directory = top();
  struct stat status {};
  check(::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat {}", name);
  if (S_ISLNK(status.st_mode)) {
    return follow(read_link_at(directory, name), rest);
  }
  if (missing != Missing::kMake) {
    return false;
  }
  if (form_ != LayerForm::kOverlay || !unionfs::is_whiteout(status)) {
    throw system_error(ENOTDIR, fmt::format("enter {}", text::quoted(path_of(name))));
  }
  check(::unlinkat(directory, name.c_str(), 0), "remove the whiteout of {}", name);
  check(::mkdirat(directory, name.c_str(), 0700), "make directory {}", name);
  PendingDirectory pending{.origin = PendingDirectory::Origin::kArchive};
  check(::clock_gettime(CLOCK_REALTIME, &pending.attributes.mtime), "read the clock");
  pending_[path_of(name)] = std::move(pending);
  make_opaque_directory(name);
  push(name, Fd(check(::openat(directory, name.c_str(), kDirectoryFlags), "open {}", name)));
  return true;
}

bool LayerTree::step_below(const std::string& name, const Below& below, Missing missing, std::vector<std::string>& rest) {
  if (below.kind == Below::Kind::kSymlink) {
    return follow(below.target, rest);
  }
  if (below.kind == Below::Kind::kDirectory) {
    copy_directory(name, below);
    if (missing != Missing::kMake) {
      whiteout_only_.insert(path());
    }
    return true;
  }
  if (missing != Missing::kMake) {
    return false;
  }
  throw system_error(ENOTDIR, fmt::format("enter {}", text::quoted(path_of(name))));
}

void LayerTree::copy_directory(const std::string& name, const Below& below) {
  const int directory = top();
  check(::mkdirat(directory, name.c_str(), 0700), "make directory {}", name);
  PendingDirectory pending{.origin = PendingDirectory::Origin::kArchive, .attributes = attributes_of(below.status)};
  pending.attributes.xattrs = read_xattrs(below.entry.get());
  pending_[path_of(name)] = std::move(pending);
  push(name, Fd(check(::openat(directory, name.c_str(), kDirectoryFlags), "open {}", name)));
}

void LayerTree::make(const std::string& name, Missing missing) {
  const int directory = top();
  check(::mkdirat(directory, name.c_str(), 0700), "make directory {}", name);
  const std::string whole = path_of(name);
  PendingDirectory pending;
  pending.origin = here_is_detached() || form_ == LayerForm::kPlain ? PendingDirectory::Origin::kArchive
                                                                     : PendingDirectory::Origin::kImplicit;
  check(::clock_gettime(CLOCK_REALTIME, &pending.attributes.mtime), "read the clock");
  if (pending.origin == PendingDirectory::Origin::kImplicit) {
    depends_ = true;
    implicit_.insert(whole);
  }
  if (missing == Missing::kMakeForWhiteout) {
    whiteout_only_.insert(whole);
  }
  pending_[whole] = std::move(pending);
  push(name, Fd(check(::openat(directory, name.c_str(), kDirectoryFlags), "open {}", name)));
}

void LayerTree::remove(const std::string& name) {
  const int directory = top();
  const std::string whole = path_of(name);
  if (::unlinkat(directory, name.c_str(), 0) != 0 && errno != ENOENT) {
    if (errno != EISDIR && errno != EPERM) {
      throw system_error(errno, fmt::format("remove {}", text::quoted(whole)));
    }
    files::remove_tree_at(duplicate_readable(directory).get(), name);
    const std::string inside = whole + "/";
    const auto forget = [&](auto& known) {
      known.erase(whole);
      auto first = known.lower_bound(inside);
      auto last = first;
      const auto key = [](const auto& at) -> const std::string& {
        if constexpr (requires { at->first; }) {
          return at->first;
        } else {
          return *at;
        }
      };
      while (last != known.end() && key(last).starts_with(inside)) {
        ++last;
      }
      known.erase(first, last);
    };
    forget(pending_);
    forget(opaque_);
    forget(whiteout_only_);
    forget(whiteouts_);
  }
}

Fd LayerTree::duplicate_readable(int directory) {
  return files::open_at(directory, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

void LayerTree::make_opaque_directory(const std::string& name) {
  const std::string whole = name.empty() ? path() : path_of(name);
  if (!opaque_.insert(whole).second || form_ == LayerForm::kPlain) {
    return;
  }
  const Fd fd = files::open_at(top(), name.empty() ? "." : name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  unionfs::make_opaque(fd.get(), xattrs_, whole);
  if (name.empty()) {
    way_.back().detached = true;
  }
}

void LayerTree::set_attributes() {
  for (auto entry = pending_.rbegin(); entry != pending_.rend(); ++entry) {
    set_directory(entry->first, entry->second);
  }
}

void LayerTree::set_directory(const std::string& path, const PendingDirectory& pending) {
  const auto directory = enter(path, Missing::kLeave);
  if (!directory) {
    return;
  }
  if (pending.origin == PendingDirectory::Origin::kBefore) {
    const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, pending.attributes.mtime};
    const Fd fd = duplicate_readable(*directory);
    for (const auto& [key, value] : pending.attributes.xattrs) {
      check(::fsetxattr(fd.get(), key.c_str(), value.data(), value.size(), 0), "give {} its access list back", path);
    }
    check(::futimens(fd.get(), times), "set the time of {}", path);
    if (privilege_ == Privilege::kRootless && (pending.attributes.mode & 0700) != 0700) {
      ::fchmod(fd.get(), pending.attributes.mode);
    }
    return;
  }
  const Fd fd = duplicate_readable(*directory);
  if (pending.existed) {
    setter_.clear_xattrs(fd.get(), pending.attributes);
  }
  setter_.set(fd.get(), pending.attributes, {}, path);
}

void LayerTree::restore_attributes(const std::string& path) {
  if (const auto found = pending_.find(path); found != pending_.end()) {
    set_directory(path, found->second);
  }
}

std::vector<std::string> LayerTree::implicit_directories() const {
  std::vector<std::string> result;
  for (const std::string& path : implicit_) {
    bool detached = false;
    for (size_t slash = path.find('/'); slash != std::string::npos && !detached; slash = path.find('/', slash + 1)) {
      detached = opaque_.contains(path.substr(0, slash));
    }
    if (!detached && pending_.contains(path)) {
      result.push_back(path);
    }
  }
  return result;
}

bool LayerTree::is_still_implicit(const std::string& path) const {
  const auto found = pending_.find(path);
  return found != pending_.end() && found->second.origin == PendingDirectory::Origin::kImplicit;
}

}  // namespace jigsaw::image
