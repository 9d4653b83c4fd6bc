#include "base/sys.h"

#include <grp.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts) {
    result.push_back(const_cast<char*>(text.c_str()));
  }
  result.push_back(nullptr);
  return result;
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
  check(pid, "clone a child{}{}", arguments.flags == 0 ? "" : " with ", arguments.flags == 0 ? "" : flags::clone(arguments.flags));
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
      words += (words.empty() ? "" : ", ") + text::quoted(argument);
      command += " " + shell_word(argument);
    }
    return Call{"execve", fmt::format("{}, [{}], {} variables", text::quoted(path), words, environment.size()), command};
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

void sethostname(std::string_view name, Why why) {
  const int rc = ::sethostname(name.data(), name.size());
  explain::tell(rc, why, [&] {
    return Call{"sethostname", fmt::format("{}, {}", text::quoted(name), name.size()), fmt::format("hostname {}", shell_word(name))};
  });
  check(rc, "set the host name to {}", name);
}

void setdomainname(std::string_view name, Why why) {
  const int rc = ::setdomainname(name.data(), name.size());
  explain::tell(rc, why, [&] {
    return Call{"setdomainname", fmt::format("{}, {}", text::quoted(name), name.size()),
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
