#include "base/flags.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cstring>
#include <span>

#include "base/error.h"
#include "base/text.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

namespace jigsaw::flags {
namespace {

struct Name {
  uint64_t bits;
  const char* text;
};

std::string decode(uint64_t flags, std::span<const Name> names, const char* none = "0") {
  std::string result;
  for (const Name& name : names) {
    if (name.bits != 0 && (flags & name.bits) == name.bits) {
      result += result.empty() ? "" : "|";
      result += name.text;
      flags &= ~name.bits;
    }
  }
  if (flags != 0) {
    result += fmt::format("{}{:#x}", result.empty() ? "" : "|", flags);
  }
  return result.empty() ? none : result;
}

}  // namespace

#define NAME(constant) \
  Name { static_cast<uint64_t>(constant), #constant }

std::string clone(uint64_t flags) {
  static constexpr Name kNames[] = {NAME(CLONE_NEWUSER),   NAME(CLONE_NEWNS),  NAME(CLONE_NEWPID),
                                    NAME(CLONE_NEWUTS),    NAME(CLONE_NEWIPC), NAME(CLONE_NEWNET),
                                    NAME(CLONE_NEWCGROUP), NAME(CLONE_NEWTIME), NAME(CLONE_PIDFD),
                                    NAME(CLONE_INTO_CGROUP), NAME(CLONE_PARENT), NAME(CLONE_VM),
                                    NAME(CLONE_VFORK)};
  return decode(flags, kNames);
}

std::string mount(unsigned long flags) {
  static constexpr Name kNames[] = {
      NAME(MS_BIND),    NAME(MS_MOVE),   NAME(MS_REC),    NAME(MS_PRIVATE), NAME(MS_SLAVE),   NAME(MS_SHARED),
      NAME(MS_UNBINDABLE), NAME(MS_REMOUNT), NAME(MS_RDONLY), NAME(MS_NOSUID), NAME(MS_NODEV), NAME(MS_NOEXEC),
      NAME(MS_NOATIME), NAME(MS_NODIRATIME), NAME(MS_RELATIME), NAME(MS_STRICTATIME), NAME(MS_SILENT)};
  return decode(flags, kNames);
}

std::string mount_attributes(uint64_t flags) {
  static constexpr Name kNames[] = {NAME(MOUNT_ATTR_RDONLY),      NAME(MOUNT_ATTR_NOSUID),
                                    NAME(MOUNT_ATTR_NODEV),       NAME(MOUNT_ATTR_NOEXEC),
                                    NAME(MOUNT_ATTR_NOATIME),     NAME(MOUNT_ATTR_STRICTATIME),
                                    NAME(MOUNT_ATTR_NODIRATIME),  NAME(MOUNT_ATTR_IDMAP)};
  return decode(flags, kNames);
}

std::string open(int flags) {
  static constexpr Name kNames[] = {NAME(O_PATH),   NAME(O_WRONLY), NAME(O_RDWR),      NAME(O_CREAT), NAME(O_EXCL),
                                    NAME(O_TRUNC),  NAME(O_APPEND), NAME(O_DIRECTORY), NAME(O_NOFOLLOW),
                                    NAME(O_NOCTTY), NAME(O_NONBLOCK), NAME(O_CLOEXEC)};
  const bool read_only = (flags & (O_ACCMODE | O_PATH)) == O_RDONLY;
  return (read_only ? "O_RDONLY" : "") +
         decode(static_cast<uint64_t>(flags), kNames, "").insert(0, read_only && flags != 0 ? "|" : "");
}

std::string resolve(uint64_t flags) {
  static constexpr Name kNames[] = {NAME(RESOLVE_IN_ROOT), NAME(RESOLVE_BENEATH), NAME(RESOLVE_NO_SYMLINKS),
                                    NAME(RESOLVE_NO_MAGICLINKS), NAME(RESOLVE_NO_XDEV)};
  return decode(flags, kNames);
}

std::string directory(int fd) { return fd == AT_FDCWD ? "AT_FDCWD" : std::to_string(fd); }

std::string at(int flags) {
  static constexpr Name kNames[] = {NAME(AT_EMPTY_PATH), NAME(AT_SYMLINK_NOFOLLOW), NAME(AT_RECURSIVE),
                                    NAME(AT_REMOVEDIR)};
  return decode(static_cast<unsigned>(flags), kNames);
}

std::string unmount(int flags) {
  static constexpr Name kNames[] = {NAME(MNT_DETACH), NAME(MNT_FORCE), NAME(UMOUNT_NOFOLLOW)};
  return decode(static_cast<unsigned>(flags), kNames);
}

std::string open_tree(unsigned flags) {
  static constexpr Name kNames[] = {NAME(OPEN_TREE_CLONE), NAME(AT_RECURSIVE), NAME(AT_EMPTY_PATH),
                                    NAME(AT_SYMLINK_NOFOLLOW), NAME(OPEN_TREE_CLOEXEC)};
  return decode(flags, kNames);
}

std::string move_mount(unsigned flags) {
  static constexpr Name kNames[] = {NAME(MOVE_MOUNT_F_EMPTY_PATH), NAME(MOVE_MOUNT_T_EMPTY_PATH),
                                    NAME(MOVE_MOUNT_F_SYMLINKS), NAME(MOVE_MOUNT_T_SYMLINKS)};
  return decode(flags, kNames);
}

std::string file_type_and_mode(unsigned mode) {
  const char* type = S_ISCHR(mode)    ? "S_IFCHR|"
                     : S_ISBLK(mode)  ? "S_IFBLK|"
                     : S_ISFIFO(mode) ? "S_IFIFO|"
                     : S_ISREG(mode)  ? "S_IFREG|"
                                      : "";
  return fmt::format("{}{:04o}", type, mode & 07777U);
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", number);
}

int parse_signal(std::string_view given) {
  if (const auto number = text::to_u64(given); number && *number >= 1 && *number <= static_cast<uint64_t>(SIGRTMAX)) {
    return static_cast<int>(*number);
  }
  std::string name = text::upper(given);
  if (name.starts_with("SIG")) {
    name.erase(0, 3);
  }
  if (name.starts_with("RTMIN+") || name.starts_with("RTMAX-")) {
    const auto offset = text::to_u64(std::string_view(name).substr(6));
    if (offset && *offset <= static_cast<uint64_t>(SIGRTMAX - SIGRTMIN)) {
      return name[3] == 'I' ? SIGRTMIN + static_cast<int>(*offset) : SIGRTMAX - static_cast<int>(*offset);
    }
  }
  if (name == "RTMIN" || name == "RTMAX") {
    return name == "RTMIN" ? SIGRTMIN : SIGRTMAX;
  }
  for (int number = 1; number < NSIG; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known != nullptr && name == known) {
      return number;
    }
  }
  throw Error(fmt::format("unknown signal: {}", text::quoted(given)), "give a name such as TERM or a number from 1 to 64");
}

}  // namespace jigsaw::flags
