#include "rootfs/safe_path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::rootfs {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel's own limit

uint64_t resolve_flags(Links links) {
  return RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (links == Links::kRefuse ? RESOLVE_NO_SYMLINKS : 0);
}

// What try_openat2() gave: nothing if there is nothing at `path`.
std::optional<Fd> if_exists(Fd fd, const std::string& path) {
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) {
    return std::nullopt;
  }
  check(fd ? 0 : -1, "open {}", path);
  return fd;
}

std::string read_link(int link, const std::string& name) {
  std::array<char, 4097> target{};
  const ssize_t got = check(::readlinkat(link, "", target.data(), target.size() - 1), "read the link {}", name);
  return std::string(target.data(), static_cast<size_t>(got));
}

// Walks to `path`, making what is missing, and gives the last component as `make_last` leaves it. `done` is the way so
// far, free of links; `ahead` what is still to be walked.
class Walk {
 public:
  enum class Last { kDirectory, kFile };
  Walk(int root, Links links, mode_t mode, Last last, sys::Why why)
      : root_(root), links_(links), mode_(mode), last_(last), why_(why) {}

  Fd run(const std::string& path) {
    push_front(path);
    Fd here = open(".");
    while (!ahead_.empty()) {
      const std::string name = ahead_.front();
      ahead_.pop_front();
      if (name == "..") {
        if (!done_.empty()) {
          done_.pop_back();
        }
        here = open(joined());
      } else {
        here = step(std::move(here), name);
      }
    }
    return here;
  }

 private:
  Fd step(Fd here, const std::string& name) {
    done_.push_back(name);
    auto next = try_open(joined());
    if (!next) {
      make(here.get(), name);
      next = open(joined());
    }
    struct stat status {};
    check(::fstat(next->get(), &status), "stat {}", joined());
    if (!S_ISLNK(status.st_mode)) {
      return std::move(*next);
    }
    if (links_ == Links::kRefuse || ++followed_ > kMaxLinks) {
      throw system_error(ELOOP, fmt::format("open {}", joined()));
    }
    const std::string target = read_link(next->get(), joined());
    done_.pop_back();
    if (target.starts_with('/')) {
      done_.clear();
    }
    push_front(target);
    return open(joined());
  }

  void make(int directory, const std::string& name) {
    try {
      if (ahead_.empty() && last_ == Last::kFile) {
        sys::mknodat(directory, name, S_IFREG | mode_, 0, why_);
      } else {
        sys::mkdirat(directory, name, last_ == Last::kFile ? 0755 : mode_, why_);
      }
    } catch (const Error& error) {
      if (error.error_number() != EEXIST) {  // somebody was quicker: what is there now is judged by opening it
        throw;
      }
    }
  }

  Fd open(const std::string& path) const {
    return sys::openat2(root_, path, {.flags = O_PATH | O_NOFOLLOW, .resolve = resolve_flags(Links::kFollow)}, why_);
  }
  std::optional<Fd> try_open(const std::string& path) const {
    return if_exists(
        sys::try_openat2(root_, path, {.flags = O_PATH | O_NOFOLLOW, .resolve = resolve_flags(Links::kFollow)}, why_), path);
  }
  std::string joined() const { return done_.empty() ? "." : text::join(done_, "/"); }
  void push_front(const std::string& path) {
    const auto parts = text::split(path, '/');
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (!part->empty() && *part != ".") {
        ahead_.emplace_front(*part);
      }
    }
  }

  int root_;
  Links links_;
  mode_t mode_;
  Last last_;
  sys::Why why_;
  std::deque<std::string> ahead_;
  std::vector<std::string> done_;
  int followed_ = 0;
};

// The usual case: only the last component is missing. Nothing if it is another case, for Walk to sort out.
std::optional<Fd> make_last_directory(int root, const std::string& path, mode_t mode, sys::Why why, Links links) {
  const std::string below = relative(path);
  const size_t slash = below.rfind('/');
  const std::string name = below.substr(slash == std::string::npos ? 0 : slash + 1);
  if (name == "." || name == "..") {
    return std::nullopt;
  }
  const auto parent = find_in_root(root, slash == std::string::npos ? "." : below.substr(0, slash), O_PATH | O_DIRECTORY, why, links);
  if (!parent || sys::try_mkdirat(parent->get(), name, mode, path, why) != 0) {
    return std::nullopt;
  }
  return sys::openat2(parent->get(), name, {.flags = O_PATH | O_NOFOLLOW, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS}, why);
}

mode_t file_type(int fd, const std::string& path) {
  struct stat status {};
  check(::fstat(fd, &status), "stat {}", path);
  return status.st_mode & S_IFMT;
}

}  // namespace

std::string relative(std::string_view path) {
  std::string result;
  for (const std::string_view part : text::split(path, '/')) {
    if (!part.empty() && part != ".") {
      (result += result.empty() ? "" : "/") += part;
    }
  }
  return result.empty() ? "." : result;
}

std::string proc_path(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

Fd open_in_root(int root, const std::string& path, int flags, sys::Why why, Links links) {
  return sys::openat2(root, relative(path), {.flags = flags, .resolve = resolve_flags(links)}, why);
}

std::optional<Fd> find_in_root(int root, const std::string& path, int flags, sys::Why why, Links links) {
  const std::string below = relative(path);
  return if_exists(sys::try_openat2(root, below, {.flags = flags, .resolve = resolve_flags(links)}, why), below);
}

Fd make_directory_in_root(int root, const std::string& path, mode_t mode, sys::Why why, Links links) {
  auto found = find_in_root(root, path, O_PATH, why, links);
  if (!found) {
    found = make_last_directory(root, path, mode, why, links);
  }
  Fd fd = found ? std::move(*found) : Walk(root, links, mode, Walk::Last::kDirectory, why).run(path);
  if (file_type(fd.get(), path) != S_IFDIR) {
    throw system_error(ENOTDIR, fmt::format("make directory {}", path));
  }
  return fd;
}

Fd make_file_in_root(int root, const std::string& path, mode_t mode, sys::Why why, Links links) {
  auto found = find_in_root(root, path, O_PATH, why, links);
  Fd fd = found ? std::move(*found) : Walk(root, links, mode, Walk::Last::kFile, why).run(path);
  if (file_type(fd.get(), path) == S_IFDIR) {
    throw system_error(EISDIR, fmt::format("make file {}", path));
  }
  return fd;
}

}  // namespace jigsaw::rootfs
