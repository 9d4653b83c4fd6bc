#include "base/sys.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
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
using text::quoted;
using text::shell_word;

std::string directory_name(int fd) { return fd == AT_FDCWD ? "AT_FDCWD" : fmt::format("{}", fd); }

std::string text_or_null(const std::string& text) { return text.empty() ? "NULL" : quoted(text); }

std::string mount_command(const MountArguments& a) {
  const auto words = [](const std::string& options, const MountArguments& m) {
    return fmt::format("mount {} {} {}", options, shell_word(m.source), shell_word(m.target));
  };
  const char* recursive = (a.flags & MS_REC) != 0 ? "r" : "";
  for (const auto& [flag, name] : {std::pair{MS_PRIVATE, "private"}, std::pair{MS_SLAVE, "slave"},
                                   std::pair{MS_SHARED, "shared"}, std::pair{MS_UNBINDABLE, "unbindable"}}) {
    if ((a.flags & flag) != 0) {
      return fmt::format("mount --make-{}{} {}", recursive, name, shell_word(a.target));
    }
  }
  if ((a.flags & MS_MOVE) != 0) {
    return words("--move", a);
  }
  if ((a.flags & MS_BIND) != 0 && (a.flags & MS_REMOUNT) == 0) {
    return words(fmt::format("--{}bind", recursive), a);
  }
  std::string options = (a.flags & MS_REMOUNT) != 0 ? "remount," : "";
  for (const auto& [flag, name] : {std::pair{MS_BIND, "bind"}, std::pair{MS_RDONLY, "ro"}, std::pair{MS_NOSUID, "nosuid"},
                                   std::pair{MS_NODEV, "nodev"}, std::pair{MS_NOEXEC, "noexec"}}) {
    options += (a.flags & flag) != 0 ? fmt::format("{},", name) : "";
  }
  options += a.data;
  if (options.ends_with(',')) {
    options.pop_back();
  }
  return words(fmt::format("{}{}", a.type.empty() ? "" : fmt::format("-t {} ", a.type),
                           options.empty() ? "" : fmt::format("-o {}", shell_word(options))), a);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts) {
    result.push_back(const_cast<char*>(text.c_str()));
  }
  result.push_back(nullptr);
  return result;
}

int set_parameter(int context, unsigned command, const char* key, const char* value, int number) {
  return static_cast<int>(::syscall(SYS_fsconfig, context, command, key, value, number));
}

// The kernel writes what went wrong into the context's own log ("e overlay: missing lowerdir").
std::string context_log(int context) {
  std::string result;
  char line[512];
  for (ssize_t got = 0; (got = ::read(context, line, sizeof line)) > 0;) {
    result += fmt::format("{}{}", result.empty() ? "" : "; ", text::trim(std::string_view(line, static_cast<size_t>(got))));
  }
  return result;
}

[[noreturn]] void refuse_filesystem(int number, int context, const std::string& type, const std::string& source,
                                    std::string_view detail) {
  const std::string said = context_log(context);
  throw system_error(number, fmt::format("make a {} file system{}{}", type,
                                         source.empty() || source == type ? "" : fmt::format(" from {}", source), detail))
      .with_hint(said.empty() ? "" : fmt::format("the kernel says: {}", said));
}

}  // namespace

Cloned clone3(const CloneArguments& arguments, Why why) {
  int pidfd = -1;
  clone_args raw{};
  raw.flags = arguments.flags | CLONE_PIDFD;
  raw.pidfd = reinterpret_cast<uintptr_t>(&pidfd);
  raw.exit_signal = (arguments.flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD;  // a sibling gets its parent's
  if (arguments.cgroup >= 0) {
    raw.flags |= CLONE_INTO_CGROUP;
    raw.cgroup = static_cast<uint64_t>(arguments.cgroup);
  }
  const long pid = ::syscall(SYS_clone3, &raw, sizeof raw);
  if (pid == 0) {
    return Cloned{};
  }
  explain::tell(pid, why, [&] {
    std::string shell = "unshare --fork";
    for (const auto& [flag, option] :
         {std::pair{CLONE_NEWUSER, " --user"}, std::pair{CLONE_NEWNS, " --mount"}, std::pair{CLONE_NEWPID, " --pid"},
          std::pair{CLONE_NEWUTS, " --uts"}, std::pair{CLONE_NEWIPC, " --ipc"}, std::pair{CLONE_NEWNET, " --net"}}) {
      shell += (arguments.flags & static_cast<uint64_t>(flag)) != 0 ? option : "";
    }
    return Call{"clone3", fmt::format("{{flags={}, exit_signal=SIGCHLD}}", flags::clone(raw.flags)),
                arguments.flags == 0 ? "(…) &" : shell};
  });
  check(pid, "clone3 with {}", flags::clone(arguments.flags));
  return Cloned{static_cast<pid_t>(pid), Fd(pidfd)};
}

void setns(int fd, int kind, std::string_view name, Why why) {
  const int rc = ::setns(fd, kind);
  explain::tell(rc, why, [&] {
    return Call{"setns", fmt::format("{}, {}", fd, flags::clone(static_cast<unsigned>(kind))), fmt::format("nsenter {}", name)};
  });
  check(rc, "enter the namespace {}", name);
}

void unshare(int flags, Why why) {
  const int rc = ::unshare(flags);
  explain::tell(rc, why, [&] { return Call{"unshare", flags::clone(static_cast<unsigned>(flags)), ""}; });
  check(rc, "unshare {}", flags::clone(static_cast<unsigned>(flags)));
}

void execve(const std::string& path, const std::vector<std::string>& arguments,
            const std::vector<std::string>& environment, Why why) {
  const auto describe = [&] {
    std::string words;
    std::string command = "exec";
    for (const std::string& argument : arguments) {
      words += (words.empty() ? "" : ", ") + quoted(argument);
      command += " " + shell_word(argument);
    }
    return Call{"execve", fmt::format("{}, [{}], {} variables", quoted(path), words, environment.size()), command};
  };
  if (explain::on()) {
    explain::announce(describe(), why);
  }
  ::execve(path.c_str(), pointers(arguments).data(), pointers(environment).data());
  const int number = errno;
  explain::tell(-1, "", describe);
  const bool missing = number == ENOENT || number == ENOTDIR;
  struct stat status {};
  std::string hint;
  if (missing && ::stat(path.c_str(), &status) == 0) {
    hint = "the file is there, but the interpreter or dynamic loader that it names is not";
  } else if (number == ENOEXEC) {
    hint = "it is no program for this machine: wrong architecture, or a script without a #! line";
  } else if (number == EACCES) {
    hint = "is it a directory, without the x permission, or on a noexec mount?";
  }
  throw system_error(number, fmt::format("execute {}", path))
      .with_hint(hint)
      .with_code(missing ? kExitNotFound : kExitNotExecutable);
}

bool send_signal(int pidfd, int signal, Why why) {
  const long rc = ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
  explain::tell(rc, why, [&] {
    return Call{"pidfd_send_signal", fmt::format("{}, {}, NULL, 0", pidfd, flags::signal_name(signal)), ""};
  });
  if (rc < 0 && errno == ESRCH) {
    return false;
  }
  check(rc, "send {}", flags::signal_name(signal));
  return true;
}

bool kill(pid_t pid, int signal, Why why) {
  const int rc = ::kill(pid, signal);
  explain::tell(rc, why, [&] {
    return Call{"kill", fmt::format("{}, {}", pid, flags::signal_name(signal)), fmt::format("kill -{} {}", signal, pid)};
  });
  if (rc < 0 && errno == ESRCH) {
    return false;
  }
  check(rc, "send {} to process {}", flags::signal_name(signal), pid);
  return true;
}

void setsid(Why why) {
  const pid_t rc = ::setsid();
  explain::tell(rc, why, [&] { return Call{"setsid", "", "setsid"}; });
  check(rc, "start a session");
}

int prctl(int option, std::string_view name, unsigned long value, Why why) {
  const int rc = ::prctl(option, value, 0, 0, 0);
  explain::tell(rc, why, [&] { return Call{"prctl", fmt::format("{}, {}", name, value), ""}; });
  return check(rc, "prctl {}", name);
}

void mount(const MountArguments& a, Why why) {
  const int rc = ::mount(a.source.c_str(), a.target.c_str(), a.type.empty() ? nullptr : a.type.c_str(), a.flags,
                         a.data.empty() ? nullptr : a.data.c_str());
  explain::tell(rc, why, [&] {
    return Call{"mount", fmt::format("{}, {}, {}, {}, {}", quoted(a.source), quoted(a.target), text_or_null(a.type),
                                     flags::mount(a.flags), text_or_null(a.data)),
                mount_command(a)};
  });
  check(rc, "mount {} on {}", a.type.empty() ? a.source : a.type, a.target);
}

void unmount(const std::string& target, int flags, Why why) {
  const int rc = ::umount2(target.c_str(), flags);
  explain::tell(rc, why, [&] {
    return Call{"umount2", fmt::format("{}, {}", quoted(target), flags::unmount(flags)),
                fmt::format("umount {}{}", (flags & MNT_DETACH) != 0 ? "-l " : "", shell_word(target))};
  });
  check(rc, "unmount {}", target);
}

void pivot_root(const std::string& new_root, const std::string& put_old, Why why) {
  const long rc = ::syscall(SYS_pivot_root, new_root.c_str(), put_old.c_str());
  explain::tell(rc, why, [&] {
    return Call{"pivot_root", fmt::format("{}, {}", quoted(new_root), quoted(put_old)),
                fmt::format("pivot_root {} {}", shell_word(new_root), shell_word(put_old))};
  });
  check(rc, "pivot_root {} {}", new_root, put_old);
}

Fd new_filesystem(const std::string& type, const std::string& source, std::span<const std::string> options,
                  uint64_t attributes, Why why) {
  const long opened = ::syscall(SYS_fsopen, type.c_str(), FSOPEN_CLOEXEC);
  explain::tell(opened, why, [&] { return Call{"fsopen", fmt::format("{}, FSOPEN_CLOEXEC", quoted(type)), ""}; });
  const Fd context(static_cast<int>(check(opened, "make a {} file system", type)));
  const auto configure = [&](const std::string& key, const std::string* value) {
    const int rc = set_parameter(context.get(), value != nullptr ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key.c_str(),
                                 value != nullptr ? value->c_str() : nullptr, 0);
    explain::tell(rc, "", [&] {
      return Call{"fsconfig", fmt::format("{}, {}, {}, {}, 0", context.get(),
                                          value != nullptr ? "FSCONFIG_SET_STRING" : "FSCONFIG_SET_FLAG", quoted(key),
                                          value != nullptr ? quoted(*value) : "NULL"), ""};
    });
    if (rc < 0) {
      refuse_filesystem(errno, context.get(), type, source, fmt::format(" with {}", key));
    }
  };
  if (!source.empty()) {
    configure("source", &source);
  }
  for (const std::string& option : options) {
    const size_t equals = option.find('=');
    const std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
    configure(option.substr(0, equals), equals == std::string::npos ? nullptr : &value);
  }
  const int created = set_parameter(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
  explain::tell(created, "", [&] {
    return Call{"fsconfig", fmt::format("{}, FSCONFIG_CMD_CREATE, NULL, NULL, 0", context.get()), ""};
  });
  if (created < 0) {
    refuse_filesystem(errno, context.get(), type, source, "");
  }
  const long mounted = ::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, attributes);
  explain::tell(mounted, "", [&] {
    return Call{"fsmount", fmt::format("{}, FSMOUNT_CLOEXEC, {}", context.get(), flags::mount_attributes(attributes)),
                fmt::format("mount -t {} {} …", type, source.empty() ? type : shell_word(source))};
  });
  if (mounted < 0) {
    refuse_filesystem(errno, context.get(), type, source, "");
  }
  return Fd(static_cast<int>(mounted));
}

Fd clone_mount(int directory, const std::string& path, Depth depth, Why why) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (path.empty() ? AT_EMPTY_PATH : 0U) |
                         (depth == Depth::kRecursive ? AT_RECURSIVE : 0U);
  const long rc = ::syscall(SYS_open_tree, directory, path.c_str(), flags);
  explain::tell(rc, why, [&] {
    return Call{"open_tree", fmt::format("{}, {}, {}", directory_name(directory), quoted(path), flags::open_tree(flags)),
                fmt::format("mount --{}bind {} …", depth == Depth::kRecursive ? "r" : "", shell_word(path))};
  });
  return Fd(static_cast<int>(check(rc, "bind {}", path.empty() ? "a mount" : path)));
}

void move_mount(int mount, int target, std::string_view target_name, Why why) {
  constexpr unsigned kFlags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  const long rc = ::syscall(SYS_move_mount, mount, "", target, "", kFlags);
  explain::tell(rc, why, [&] {
    return Call{"move_mount", fmt::format("{}, \"\", {}, \"\", {}", mount, target, flags::move_mount(kFlags)),
                fmt::format("mount … {}", shell_word(target_name))};
  });
  check(rc, "mount on {}", target_name);
}

void mount_setattr(int fd, const MountAttributes& attributes, Depth depth, std::string_view name, Why why) {
  struct mount_attr raw {};
  raw.attr_set = attributes.set;
  raw.attr_clr = attributes.clear;
  raw.propagation = attributes.propagation;
  raw.userns_fd = attributes.user_namespace >= 0 ? static_cast<uint64_t>(attributes.user_namespace) : 0;
  const unsigned flags = AT_EMPTY_PATH | (depth == Depth::kRecursive ? AT_RECURSIVE : 0U);
  const long rc = ::syscall(SYS_mount_setattr, fd, "", flags, &raw, sizeof raw);
  explain::tell(rc, why, [&] {
    return Call{"mount_setattr",
                fmt::format("{}, \"\", {}, {{attr_set={}, attr_clr={}, propagation={}}}", fd, flags::at(static_cast<int>(flags)),
                            flags::mount_attributes(raw.attr_set), flags::mount_attributes(raw.attr_clr),
                            flags::mount(static_cast<unsigned long>(raw.propagation))),
                fmt::format("mount -o remount,bind,… {}", shell_word(name))};
  });
  check(rc, "set the mount attributes of {}", name);
}

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
    return Call{"openat2", fmt::format("{}, {}, {{flags={}, resolve={}}}", directory_name(directory), quoted(path),
                                       flags::open(how.flags | O_CLOEXEC), flags::resolve(how.resolve)), ""};
  });
  return Fd(static_cast<int>(rc));
}

void mkdirat(int directory, const std::string& path, mode_t mode, Why why) {
  const int rc = ::mkdirat(directory, path.c_str(), mode);
  explain::tell(rc, why, [&] {
    return Call{"mkdirat", fmt::format("{}, {}, {:04o}", directory_name(directory), quoted(path), mode),
                fmt::format("mkdir -m {:o} {}", mode, shell_word(path))};
  });
  check(rc, "make directory {}", path);
}

int try_mkdirat(int directory, const std::string& path, mode_t mode, Why why) {
  const int rc = ::mkdirat(directory, path.c_str(), mode);
  explain::tell(rc, why, [&] {
    return Call{"mkdirat", fmt::format("{}, {}, {:04o}", directory_name(directory), quoted(path), mode),
                fmt::format("mkdir -m {:o} {}", mode, shell_word(path))};
  });
  return rc < 0 ? errno : 0;
}

int try_rmdirat(int directory, const std::string& path, std::string_view shown, Why why) {
  const int rc = ::unlinkat(directory, path.c_str(), AT_REMOVEDIR);
  explain::tell(rc, why, [&] {
    return Call{"unlinkat", fmt::format("{}, {}, AT_REMOVEDIR", directory_name(directory), quoted(path)),
                fmt::format("rmdir {}", shell_word(shown))};
  });
  return rc < 0 ? errno : 0;
}

void mknodat(int directory, const std::string& path, mode_t mode, dev_t device, Why why) {
  const int rc = ::mknodat(directory, path.c_str(), mode, device);
  explain::tell(rc, why, [&] {
    return Call{"mknodat", fmt::format("{}, {}, {}, makedev({:#x}, {:#x})", directory_name(directory), quoted(path),
                                       flags::file_type_and_mode(mode), major(device), minor(device)),
                fmt::format("mknod {} {} {} {}", shell_word(path), S_ISBLK(mode) ? "b" : "c", major(device), minor(device))};
  });
  check(rc, "make node {}", path);
}

void symlinkat(const std::string& target, int directory, const std::string& path, Why why) {
  const int rc = ::symlinkat(target.c_str(), directory, path.c_str());
  explain::tell(rc, why, [&] {
    return Call{"symlinkat", fmt::format("{}, {}, {}", quoted(target), directory_name(directory), quoted(path)),
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
    return Call{"fsetxattr", fmt::format("{}, {}, {}, {}, 0", fd, quoted(attribute), quoted(value), value.size()),
                fmt::format("setfattr -n {} -v {} {}", attribute, shell_word(value), shell_word(name))};
  });
  check(rc, "set the attribute {} of {}", attribute, name);
}

void chdir(const std::string& path, Why why) {
  const int rc = ::chdir(path.c_str());
  explain::tell(rc, why, [&] { return Call{"chdir", quoted(path), fmt::format("cd {}", shell_word(path))}; });
  check(rc, "change directory to {}", path);
}

void chroot(const std::string& path, Why why) {
  const int rc = ::chroot(path.c_str());
  explain::tell(rc, why, [&] { return Call{"chroot", quoted(path), fmt::format("chroot {}", shell_word(path))}; });
  check(rc, "change the root to {}", path);
}

void fchdir(int fd, std::string_view name, Why why) {
  const int rc = ::fchdir(fd);
  explain::tell(rc, why, [&] { return Call{"fchdir", fmt::format("{}", fd), fmt::format("cd {}", shell_word(name))}; });
  check(rc, "change directory to {}", name);
}

namespace {
int write_once(int directory, const std::string& path, std::string_view text, std::string_view shown, Why why) {
  const Fd fd(::openat(directory, path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  const ssize_t rc = fd ? ::write(fd.get(), text.data(), text.size()) : -1;
  explain::tell(rc, why, [&] {
    return Call{"write", fmt::format("{}, {}, {}", shown, quoted(text), text.size()),
                fmt::format("echo {} > {}", shell_word(text::trim(text)), shell_word(shown))};
  });
  return rc == static_cast<ssize_t>(text.size()) ? 0 : rc >= 0 ? EIO : errno;
}
}  // namespace

void write_file_at(int directory, const std::string& path, std::string_view text, std::string_view shown, Why why) {
  if (const int number = write_once(directory, path, text, shown, why); number != 0) {
    throw system_error(number, fmt::format("write {} to {}", quoted(text::trim(text)), shown));
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
    return Call{"write", fmt::format("{}, {}, {}", fd, quoted(text), text.size()),
                fmt::format("echo {} > {}", shell_word(text::trim(text)), shell_word(shown))};
  });
  check(rc, "write {} to {}", quoted(text::trim(text)), shown);
}

void sethostname(std::string_view name, Why why) {
  const int rc = ::sethostname(name.data(), name.size());
  explain::tell(rc, why, [&] {
    return Call{"sethostname", fmt::format("{}, {}", quoted(name), name.size()), fmt::format("hostname {}", shell_word(name))};
  });
  check(rc, "set the host name to {}", name);
}

void setdomainname(std::string_view name, Why why) {
  const int rc = ::setdomainname(name.data(), name.size());
  explain::tell(rc, why, [&] {
    return Call{"setdomainname", fmt::format("{}, {}", quoted(name), name.size()),
                fmt::format("domainname {}", shell_word(name))};
  });
  check(rc, "set the domain name to {}", name);
}

// The raw calls: glibc's versions would signal every thread first, and there is none when these run.
void setresuid(uid_t uid, Why why) {
  const long rc = ::syscall(SYS_setresuid, uid, uid, uid);
  explain::tell(rc, why, [&] { return Call{"setresuid", fmt::format("{0}, {0}, {0}", uid), ""}; });
  check(rc, "become user {}", uid);
}

void setresgid(gid_t gid, Why why) {
  const long rc = ::syscall(SYS_setresgid, gid, gid, gid);
  explain::tell(rc, why, [&] { return Call{"setresgid", fmt::format("{0}, {0}, {0}", gid), ""}; });
  check(rc, "become group {}", gid);
}

void setgroups(std::span<const gid_t> groups, Why why) {
  const long rc = ::syscall(SYS_setgroups, groups.size(), groups.data());
  explain::tell(rc, why, [&] {
    return Call{"setgroups", fmt::format("{}, [{}]", groups.size(), fmt::join(groups, ", ")), ""};
  });
  check(rc, "set the supplementary groups");
}

}  // namespace jigsaw::sys
