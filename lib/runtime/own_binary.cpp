#include "runtime/own_binary.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/explain.h"
#include "base/files.h"
#include "base/sys.h"
#include "process/own_program.h"

namespace jigsaw::runtime {
namespace {

constexpr const char* kPath = "/proc/self/exe";
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

// Nobody can write to it, or no container of ours could: without root, one has only ids of ours.
bool is_protected(int fd) {
  struct statvfs system {};
  struct stat status {};
  check(::fstat(fd, &status), "stat {}", kPath);
  const bool foreign = ::geteuid() != 0 && status.st_uid != ::geteuid() && (status.st_mode & 022) == 0;
  return foreign || (::fstatvfs(fd, &system) == 0 && (system.f_flag & ST_RDONLY) != 0) || ::fcntl(fd, F_GET_SEALS) == kSeals;
}

Fd read_only_mount() {
  constexpr const char* kWhy = "the program file, as nobody can write to it";
  Fd mount = sys::clone_mount(AT_FDCWD, kPath, sys::Depth::kThisMount, kWhy);
  sys::mount_setattr(mount.get(), {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID}, sys::Depth::kThisMount, "our program file", kWhy);
  return mount;
}

Fd sealed_copy(int source) {
  Fd copy(check(::memfd_create("jigsaw", MFD_CLOEXEC | MFD_ALLOW_SEALING), "make a memory file"));
  while (check(::sendfile(copy.get(), source, nullptr, 1U << 24), "copy our program file") > 0) {
  }
  check(::fcntl(copy.get(), F_ADD_SEALS, kSeals), "seal the copy of our program file");
  return copy;
}

}  // namespace

void leave_own_binary(int argc, char** argv) {
  if (std::none_of(argv + std::min(argc, 1), argv + argc, enters_containers)) {
    return;
  }
  const Fd own = files::open(kPath, O_RDONLY);
  const char* former = ::getenv(kOwnBinaryVariable);
  if (former != nullptr || is_protected(own.get())) {  // the former alone ends a circle if a kernel does not show what we did
    if (former != nullptr) {
      process::remember_own_path(former);
    }
    ::unsetenv(kOwnBinaryVariable);
    if (::geteuid() == 0) {
      sys::prctl(PR_SET_DUMPABLE, "PR_SET_DUMPABLE", 0, "no process may look into us or our /proc entries");
    }
    return;
  }
  Fd safe;
  try {
    safe = read_only_mount();
  } catch (const Error&) {
    safe = sealed_copy(own.get());  // without privilege, or on a kernel before 5.12
  }
  ::setenv(kOwnBinaryVariable, process::own_path().c_str(), 1);
  ::execveat(safe.get(), "", argv, ::environ, AT_EMPTY_PATH);
  throw system_error(errno, "execute ourselves from a read-only place");
}

void tell_of_own_binary() {
  if (explain::on() && process::has_left_own_path()) {
    explain::note("before anything else: execute ourselves once more, from a place where our file can't be written",
                  "a container that catches us inside would otherwise get hold of the host's file (CVE-2019-5736)");
  }
}

}  // namespace jigsaw::runtime
