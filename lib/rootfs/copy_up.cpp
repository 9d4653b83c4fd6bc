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

struct Pair {
  Fd from;
  Fd to;
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

}  // namespace

void copy_tree(int from, int to) {
  std::vector<Pair> pending;
  pending.push_back({files::open_at(from, ".", O_RDONLY | O_DIRECTORY), files::open_at(to, ".", O_RDONLY | O_DIRECTORY)});
  while (!pending.empty()) {
    const Pair pair = std::move(pending.back());
    pending.pop_back();
    copy_owner_and_mode(pair.from.get(), pair.to.get());
    for (const std::string& name : files::list_fd(pair.from.get())) {
      struct stat status {};
      check(::fstatat(pair.from.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat {}", name);
      if (S_ISDIR(status.st_mode)) {
        check(::mkdirat(pair.to.get(), name.c_str(), 0700), "make directory {}", name);
        constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
        pending.push_back({files::open_at(pair.from.get(), name, kFlags), files::open_at(pair.to.get(), name, kFlags)});
      } else if (S_ISREG(status.st_mode)) {
        copy_file(pair.from.get(), pair.to.get(), name);
      } else if (S_ISLNK(status.st_mode)) {
        copy_link(pair.from.get(), pair.to.get(), name, status);
      }
    }
  }
}

}  // namespace jigsaw::rootfs
