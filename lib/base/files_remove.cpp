// Removing trees: what files.h says of remove_tree().
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"

namespace jigsaw::files {
namespace {

// Removes what is in `directory`; `device` is the file system that must not be left. Depth costs neither stack nor
// descriptors, as an archive can hold directories ten thousand deep: only the lowest levels stay open, and the way up
// is "..", believed only if it leads to the directory we came from.
class TreeRemover {
 public:
  explicit TreeRemover(dev_t device) : device_(device) {}

  void empty(Fd directory) {
    enter(std::move(directory), "");
    while (!levels_.empty()) {
      if (levels_.back().names.empty()) {
        leave();
      } else {
        remove_last();
      }
    }
  }

 private:
  static constexpr size_t kOpenLevels = 32;
  struct Level {
    Fd fd;
    std::string name;  // in the level above
    ino_t inode;
    std::vector<std::string> names;
  };

  void enter(Fd fd, const std::string& name) {
    struct stat status {};
    check(::fstat(fd.get(), &status), "stat {}", name);
    std::vector<std::string> names = list_fd(fd.get());
    levels_.push_back(Level{std::move(fd), name, status.st_ino, std::move(names)});
    if (levels_.size() > kOpenLevels) {
      levels_[levels_.size() - 1 - kOpenLevels].fd.reset();
    }
  }

  void leave() {
    const Level left = std::move(levels_.back());
    levels_.pop_back();
    if (levels_.empty()) {
      return;
    }
    Level& above = levels_.back();
    if (!above.fd) {
      above.fd = open_at(left.fd.get(), "..", O_RDONLY | O_DIRECTORY);
      struct stat status {};
      check(::fstat(above.fd.get(), &status), "stat ..");
      if (status.st_ino != above.inode || status.st_dev != device_) {
        throw fail("remove {}: it was moved while it was removed", left.name);
      }
    }
    check(::unlinkat(above.fd.get(), left.name.c_str(), AT_REMOVEDIR), "remove directory {}", left.name);
  }

  void remove_last() {
    Level& level = levels_.back();
    const std::string name = std::move(level.names.back());
    level.names.pop_back();
    if (::unlinkat(level.fd.get(), name.c_str(), 0) == 0 || errno == ENOENT) {
      return;
    }
    const int number = errno;
    struct stat status {};
    check(::fstatat(level.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat {}", name);
    if (!S_ISDIR(status.st_mode)) {
      throw system_error(number, fmt::format("remove {}", name));
    }
    if (status.st_dev != device_) {
      throw system_error(EBUSY, fmt::format("remove {}: something is mounted there", name));
    }
    if ((status.st_mode & 0700) != 0700) {
      ::fchmodat(level.fd.get(), name.c_str(), 0700, 0);
    }
    enter(open_at(level.fd.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), name);
  }

  dev_t device_;
  std::vector<Level> levels_;
};

}  // namespace

void remove_tree_at(int directory, const std::string& name) {
  if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT || errno == ENOTDIR) {
    return;
  }
  if (errno != EISDIR && errno != EPERM) {
    throw system_error(errno, fmt::format("remove {}", name));
  }
  struct stat parent {};
  struct stat status {};
  check(::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat {}", name);
  check(::fstatat(directory, directory == AT_FDCWD ? name.substr(0, name.rfind('/') + 1).append(".").c_str() : ".",
                  &parent, 0),
        "stat the directory of {}", name);
  if (S_ISDIR(status.st_mode) && status.st_dev != parent.st_dev) {
    throw system_error(EBUSY, fmt::format("remove {}: something is mounted there", name));
  }
  if ((status.st_mode & 0700) != 0700) {
    ::fchmodat(directory, name.c_str(), 0700, 0);
  }
  TreeRemover(status.st_dev).empty(open_at(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  check(::unlinkat(directory, name.c_str(), AT_REMOVEDIR), "remove directory {}", name);
}

void remove_tree(const std::string& path) { remove_tree_at(AT_FDCWD, path); }

}  // namespace jigsaw::files
