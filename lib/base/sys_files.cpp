#include "base/sys.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/explain.h"
#include "base/flags.h"
#include "base/text.h"

namespace jigsaw::sys {
namespace {

using explain::Call;
using text::shell_word;

std::string node_command(const std::string& path, mode_t mode, dev_t device) {
  const mode_t permissions = mode & 07777;
  if (S_ISREG(mode)) {
    return fmt::format("install -m {:o} /dev/null {}", permissions, shell_word(path));
  }
  const std::string numbers = S_ISFIFO(mode) ? "p" : fmt::format("{} {} {}", S_ISBLK(mode) ? "b" : "c", major(device), minor(device));
  return fmt::format("mknod -m {:o} {} {}", permissions, shell_word(path), numbers);
}

int write_once(int directory, const std::string& path, std::string_view text, std::string_view shown, Why why) {
  const Fd fd(::openat(directory, path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  const ssize_t rc = fd ? ::write(fd.get(), text.data(), text.size()) : -1;
  explain::tell(rc, why, [&] {
    return Call{"write", fmt::format("{}, {}, {}", shown, text::quoted(text), text.size()),
                fmt::format("echo {} > {}", shell_word(text::trim(text)), shell_word(shown))};
  });
  return rc == static_cast<ssize_t>(text.size()) ? 0 : rc >= 0 ? EIO : errno;
}

}  // namespace

Fd openat2(int directory, const std::string& path, const OpenHow& how, Why why) {
  Fd fd = try_openat2(directory, path, how, why);
  check(fd ? 0 : -1, "open {}", path);
  return fd;
}

Fd try_openat2(int directory, const std::string& path, const OpenHow& how, Why why) {
  open_how raw{};
  raw.flags = static_cast<uint64_t>(how.flags | O_CLOEXEC);
  raw.mode = how.mode;
  raw.resolve = how.resolve;
  long rc = -1;
  do {  // EAGAIN: something on the way was renamed while the kernel proved that it stays in the root
    rc = ::syscall(SYS_openat2, directory, path.c_str(), &raw, sizeof raw);
  } while (rc < 0 && (errno == EAGAIN || errno == EINTR));
  explain::tell(rc, why, [&] {
    return Call{"openat2", fmt::format("{}, {}, {{flags={}, resolve={}}}", flags::directory(directory), text::quoted(path),
                                       flags::open(how.flags | O_CLOEXEC), flags::resolve(how.resolve)), ""};
  });
  return Fd(static_cast<int>(rc));
}

void mkdirat(int directory, const std::string& path, mode_t mode, Why why) {
  const int rc = ::mkdirat(directory, path.c_str(), mode);
  explain::tell(rc, why, [&] {
    return Call{"mkdirat", fmt::format("{}, {}, {:04o}", flags::directory(directory), text::quoted(path), mode),
                fmt::format("mkdir -m {:o} {}", mode, shell_word(path))};
  });
  check(rc, "make directory {}", path);
}

int try_mkdirat(int directory, const std::string& path, mode_t mode, std::string_view shown, Why why) {
  const int rc = ::mkdirat(directory, path.c_str(), mode);
  explain::tell(rc, why, [&] {
    return Call{"mkdirat", fmt::format("{}, {}, {:04o}", flags::directory(directory), text::quoted(path), mode),
                fmt::format("mkdir -m {:o} {}", mode, shell_word(shown))};
  });
  return rc < 0 ? errno : 0;
}

int try_rmdirat(int directory, const std::string& path, std::string_view shown, Why why) {
  const int rc = ::unlinkat(directory, path.c_str(), AT_REMOVEDIR);
  explain::tell(rc, why, [&] {
    return Call{"unlinkat", fmt::format("{}, {}, AT_REMOVEDIR", flags::directory(directory), text::quoted(path)),
                fmt::format("rmdir {}", shell_word(shown))};
  });
  return rc < 0 ? errno : 0;
}

void mknodat(int directory, const std::string& path, mode_t mode, dev_t device, Why why) {
  const int rc = ::mknodat(directory, path.c_str(), mode, device);
  explain::tell(rc, why, [&] {
    return Call{"mknodat", fmt::format("{}, {}, {}, makedev({:#x}, {:#x})", flags::directory(directory), text::quoted(path),
                                       flags::file_type_and_mode(mode), major(device), minor(device)),
                node_command(path, mode, device)};
  });
  check(rc, "make node {}", path);
}

void symlinkat(const std::string& target, int directory, const std::string& path, Why why) {
  const int rc = ::symlinkat(target.c_str(), directory, path.c_str());
  explain::tell(rc, why, [&] {
    return Call{"symlinkat", fmt::format("{}, {}, {}", text::quoted(target), flags::directory(directory), text::quoted(path)),
                fmt::format("ln -s {} {}", shell_word(target), shell_word(path))};
  });
  check(rc, "link {} to {}", path, target);
}

void fchown(int fd, uid_t uid, gid_t gid, std::string_view name, Why why) {
  const int rc = ::fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
  explain::tell(rc, why, [&] {
    return Call{"fchownat", fmt::format("{}, \"\", {}, {}, AT_EMPTY_PATH", fd, uid, gid),
                fmt::format("chown {}:{} {}", uid, gid, shell_word(name))};
  });
  check(rc, "change the owner of {} to {}:{}", name, uid, gid);
}

void fchmod(int fd, mode_t mode, std::string_view name, Why why) {
  const int rc = ::fchmod(fd, mode);
  explain::tell(rc, why, [&] {
    return Call{"fchmod", fmt::format("{}, {:04o}", fd, mode), fmt::format("chmod {:o} {}", mode, shell_word(name))};
  });
  check(rc, "change the mode of {}", name);
}

void fsetxattr(int fd, const std::string& attribute, std::string_view value, std::string_view name, Why why) {
  const int rc = ::fsetxattr(fd, attribute.c_str(), value.data(), value.size(), 0);
  explain::tell(rc, why, [&] {
    return Call{"fsetxattr", fmt::format("{}, {}, {}, {}, 0", fd, text::quoted(attribute), text::quoted(value), value.size()),
                fmt::format("setfattr -n {} -v {} {}", attribute, shell_word(value), shell_word(name))};
  });
  check(rc, "set the attribute {} of {}", attribute, name);
}

void chdir(const std::string& path, Why why) {
  const int rc = ::chdir(path.c_str());
  explain::tell(rc, why, [&] { return Call{"chdir", text::quoted(path), fmt::format("cd {}", shell_word(path))}; });
  check(rc, "change directory to {}", path);
}

void chroot(const std::string& path, Why why) {
  const int rc = ::chroot(path.c_str());
  explain::tell(rc, why, [&] { return Call{"chroot", text::quoted(path), fmt::format("chroot {}", shell_word(path))}; });
  check(rc, "change the root to {}", path);
}

void fchdir(int fd, std::string_view name, Why why) {
  const int rc = ::fchdir(fd);
  explain::tell(rc, why, [&] { return Call{"fchdir", fmt::format("{}", fd), fmt::format("cd {}", shell_word(name))}; });
  check(rc, "change directory to {}", name);
}

void write_file_at(int directory, const std::string& path, std::string_view text, std::string_view shown, Why why) {
  if (const int number = write_once(directory, path, text, shown, why); number != 0) {
    throw system_error(number, fmt::format("write {} to {}", text::quoted(text::trim(text)), shown));
  }
}

void write_file(const std::string& path, std::string_view text, Why why) {
  write_file_at(AT_FDCWD, path, text, path, why);
}

int try_write_file(const std::string& path, std::string_view text, Why why) {
  return write_once(AT_FDCWD, path, text, path, why);
}

int try_write_file_at(int directory, const std::string& path, std::string_view text, std::string_view shown, Why why) {
  return write_once(directory, path, text, shown, why);
}

void write_fd(int fd, std::string_view text, std::string_view shown, Why why) {
  const ssize_t rc = ::write(fd, text.data(), text.size());
  explain::tell(rc, why, [&] {
    return Call{"write", fmt::format("{}, {}, {}", fd, text::quoted(text), text.size()),
                fmt::format("echo {} > {}", shell_word(text::trim(text)), shell_word(shown))};
  });
  check(rc, "write {} to {}", text::quoted(text::trim(text)), shown);
}

}  // namespace jigsaw::sys
