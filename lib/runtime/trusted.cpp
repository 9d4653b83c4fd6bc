#include "runtime/trusted.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace jigsaw::runtime {

void check_state_root(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return;
  }
  const bool ours = status.st_uid == ::geteuid() || status.st_uid == 0;
  const bool open_to_all = (status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0;
  if (!ours || open_to_all) {
    throw Error(fmt::format("the state directory {} {}", path,
                            ours ? "may be written by everybody" : fmt::format("belongs to user {}", status.st_uid)),
                ours ? "chmod go-w it, or name another one with --root" : "name another one with --root, or run this as that user");
  }
}

void check_state_file(int fd, const std::string& path) {
  struct stat status {};
  check(::fstat(fd, &status), "stat {}", path);
  if (!S_ISREG(status.st_mode)) {
    throw fail("the state {} is no file", path);
  }
  if (status.st_uid != ::geteuid()) {
    throw Error(fmt::format("the state {} belongs to user {}", path, status.st_uid), "run this as the user who made the container");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw Error(fmt::format("the state {} may be written by others", path), "it was made with mode 0600: do not trust it, remove it");
  }
}

}  // namespace jigsaw::runtime
