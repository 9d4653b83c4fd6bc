#include "base/sys.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/explain.h"
#include "base/flags.h"
#include "base/text.h"

namespace jigsaw::sys {
namespace {

using explain::Call;
using text::shell_word;

std::string text_or_null(const std::string& text) { return text.empty() ? "NULL" : text::quoted(text); }

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
  throw system_error(number, fmt::format("make a file system of type {}{}{}", type,
                                         source.empty() || source == type ? "" : fmt::format(" from {}", source), detail))
      .with_hint(said.empty() ? "" : fmt::format("the kernel says: {}", said));
}

}  // namespace

void mount(const MountArguments& a, Why why) {
  const int rc = ::mount(a.source.c_str(), a.target.c_str(), a.type.empty() ? nullptr : a.type.c_str(), a.flags,
                         a.data.empty() ? nullptr : a.data.c_str());
  explain::tell(rc, why, [&] {
    return Call{"mount", fmt::format("{}, {}, {}, {}, {}", text::quoted(a.source), text::quoted(a.target), text_or_null(a.type),
                                     flags::mount(a.flags), text_or_null(a.data)),
                mount_command(a)};
  });
  check(rc, "mount {} on {}", a.type.empty() ? a.source : a.type, a.target);
}

void unmount(const std::string& target, int flags, Why why) {
  const int rc = ::umount2(target.c_str(), flags);
  explain::tell(rc, why, [&] {
    return Call{"umount2", fmt::format("{}, {}", text::quoted(target), flags::unmount(flags)),
                fmt::format("umount {}{}", (flags & MNT_DETACH) != 0 ? "-l " : "", shell_word(target))};
  });
  check(rc, "unmount {}", target);
}

void pivot_root(const std::string& new_root, const std::string& put_old, Why why) {
  const long rc = ::syscall(SYS_pivot_root, new_root.c_str(), put_old.c_str());
  explain::tell(rc, why, [&] {
    return Call{"pivot_root", fmt::format("{}, {}", text::quoted(new_root), text::quoted(put_old)),
                fmt::format("pivot_root {} {}", shell_word(new_root), shell_word(put_old))};
  });
  check(rc, "pivot_root {} {}", new_root, put_old);
}

Fd new_filesystem(const std::string& type, const std::string& source, std::span<const std::string> options,
                  uint64_t attributes, Why why) {
  const long opened = ::syscall(SYS_fsopen, type.c_str(), FSOPEN_CLOEXEC);
  explain::tell(opened, why, [&] { return Call{"fsopen", fmt::format("{}, FSOPEN_CLOEXEC", text::quoted(type)), ""}; });
  const Fd context(static_cast<int>(check(opened, "make a file system of type {}", type)));
  const auto configure = [&](const std::string& key, const std::string* value) {
    const int rc = set_parameter(context.get(), value != nullptr ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key.c_str(),
                                 value != nullptr ? value->c_str() : nullptr, 0);
    explain::tell(rc, "", [&] {
      return Call{"fsconfig", fmt::format("{}, {}, {}, {}, 0", context.get(),
                                          value != nullptr ? "FSCONFIG_SET_STRING" : "FSCONFIG_SET_FLAG", text::quoted(key),
                                          value != nullptr ? text::quoted(*value) : "NULL"), ""};
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
    return Call{"open_tree", fmt::format("{}, {}, {}", flags::directory(directory), text::quoted(path), flags::open_tree(flags)),
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

}  // namespace jigsaw::sys
