#include "rootfs/copy_up.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/files.h"

namespace jigsaw::rootfs {
namespace {

// A directory on the way down: as many are open as the tree is deep, however wide it is.
struct Level {
  Fd from;
  Fd to;
  std::vector<std::string> below;  // directories that are still to be copied
};

void copy_owner_and_mode(int from, int to) {
  struct stat status {};
  check(::fstat(from, &status), "stat a directory to copy");
  check(::fchown(to, status.st_uid, status.st_gid), "copy the owner");
  check(::fchmod(to, status.st_mode & 07777), "copy the mode");
}

void copy_file(int from_directory, int to_directory, const std::string& name) {
  const Fd from = files::open_at(from_directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const Fd to = files::open_at(to_directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
  while (check(::sendfile(to.get(), from.get(), nullptr, 1U << 20), "copy {}", name) > 0) {
  }
  copy_owner_and_mode(from.get(), to.get());
}

void copy_link(int from_directory, int to_directory, const std::string& name, const struct stat& status) {
  std::array<char, 4097> target{};
  check(::readlinkat(from_directory, name.c_str(), target.data(), target.size() - 1), "read the link {}", name);
  check(::symlinkat(target.data(), to_directory, name.c_str()), "link {}", name);
  check(::fchownat(to_directory, name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW), "copy the owner of {}", name);
}

// Copies what is in a directory, and makes the directories in it, whose names it gives.
std::vector<std::string> copy_entries(int from, int to) {
  std::vector<std::string> directories;
  copy_owner_and_mode(from, to);
  for (const std::string& name : files::list_fd(from)) {
    struct stat status {};
    check(::fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat {}", name);
    if (S_ISDIR(status.st_mode)) {
      check(::mkdirat(to, name.c_str(), 0700), "make directory {}", name);
      directories.push_back(name);
    } else if (S_ISREG(status.st_mode)) {
      copy_file(from, to, name);
    } else if (S_ISLNK(status.st_mode)) {
      copy_link(from, to, name, status);
    }
  }
  return directories;
}

}  // namespace

void copy_tree(int from, int to) {
  std::vector<Level> levels;
  const auto descend = [&](int from_directory, int to_directory, const std::string& name) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    Level level{files::open_at(from_directory, name, kFlags), files::open_at(to_directory, name, kFlags), {}};
    level.below = copy_entries(level.from.get(), level.to.get());
    levels.push_back(std::move(level));
  };
  descend(from, to, ".");
  while (!levels.empty()) {
    if (levels.back().below.empty()) {
      levels.pop_back();
      continue;
    }
    const std::string name = std::move(levels.back().below.back());
    levels.back().below.pop_back();
    descend(levels.back().from.get(), levels.back().to.get(), name);
  }
}

}  // namespace jigsaw::rootfs
