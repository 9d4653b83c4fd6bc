#include "runtime/identity.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "base/explain.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "process/exec.h"
#include "process/signals.h"
#include "runtime/kernel_check.h"
#include "runtime/scheduling.h"
#include "runtime/setup.h"
#include "security/seccomp_passes.h"
#include "security/user.h"

namespace jigsaw::runtime {
namespace {

constexpr ino_t kProcRoot = 1;  // PROC_ROOT_INO

bool loads_with_privilege(const Process& process, const std::optional<security::SeccompProgram>& filter) {
  return filter && !process.no_new_privileges;
}

void set_groups(const Process& process) {
  try {
    sys::setgroups(process.additional_gids, "the groups of whoever called us are not the container's (CVE-2022-36109)");
  } catch (const Error& error) {
    // In a user namespace made without privilege setgroups(2) is switched off; then there are none to drop.
    if (error.error_number() != EPERM || files::read_if_exists("/proc/self/setgroups").value_or("deny") != "deny\n") {
      throw;
    }
    if (!process.additional_gids.empty()) {
      throw Error("further groups can't be given: in this user namespace setgroups(2) is switched off",
                  "a range for the user in /etc/subgid, and newgidmap, make one in which it is not");
    }
  }
}

// Whoever opens /dev/stdout opens the pipe anew, and must own it. A file of the host is not given away.
void give_pipes_to(uid_t uid, gid_t gid) {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    struct stat status {};
    if (::fstat(number, &status) == 0 && S_ISFIFO(status.st_mode) && status.st_uid != uid) {
      const int rc = ::fchown(number, uid, gid);
      explain::tell(rc, "the program's user may open its own stdin, stdout and stderr again", [&] {
        return explain::Call{"fchown", fmt::format("{}, {}, {}", number, uid, gid), ""};
      });
    }
  }
}

// False if the directory can't be entered with the present rights.
bool try_chdir(const std::string& path) {
  try {
    sys::chdir(path, "the program's working directory");
  } catch (const Error& error) {
    if (error.error_number() == EACCES) {
      return false;
    }
    throw;
  }
  return true;
}

// A directory outside of the root has no path: the kernel says "(unreachable)" or ENOENT (CVE-2024-21626).
void check_inside(const std::string& cwd) {
  std::array<char, 4097> buffer{};
  const long rc = ::syscall(SYS_getcwd, buffer.data(), buffer.size());
  if (rc < 0 || buffer[0] != '/') {
    throw Error(fmt::format("the working directory {} is outside of the container's root", cwd));
  }
}

// A file of our own below /proc, which is the container's by now: only a real procfs will do, with nothing mounted over
// the file (CVE-2025-52881).
Fd open_own_attribute(const std::string& name) {
  constexpr const char* kWhy = "a security module reads what is to come from here";
  const Fd proc = files::open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW);
  struct statfs system {};
  struct stat status {};
  if (::fstatfs(proc.get(), &system) != 0 || system.f_type != PROC_SUPER_MAGIC || ::fstat(proc.get(), &status) != 0 ||
      status.st_ino != kProcRoot) {
    throw fail("/proc is no procfs in this container: a security label can't be set through it");
  }
  return sys::openat2(proc.get(), "thread-self/attr/" + name,
                      {.flags = O_WRONLY, .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS}, kWhy);
}

}  // namespace

void set_labels(const Process& process) {
  if (process.apparmor_profile.empty() && process.selinux_label.empty()) {
    return;
  }
  const SecurityModules& modules = security_modules();
  if (modules.apparmor && !process.apparmor_profile.empty() && process.apparmor_profile != "unconfined") {
    sys::write_fd(open_own_attribute("apparmor/exec").get(), "exec " + process.apparmor_profile, "/proc/thread-self/attr/apparmor/exec",
                  "AppArmor confines the program");
  }
  if (modules.selinux && !process.selinux_label.empty()) {
    sys::write_fd(open_own_attribute("exec").get(), process.selinux_label, "/proc/thread-self/attr/exec", "SELinux confines the program");
  }
}

namespace {

// We open some ourselves until the program runs: a limit below that is the last thing to be set, which takes no right.
constexpr uint64_t kOurDescriptors = 64;

bool waits(const security::Rlimit& limit) { return limit.resource == RLIMIT_NOFILE && limit.soft < kOurDescriptors; }

std::vector<security::Rlimit> first_limits(const Process& process) {
  std::vector<security::Rlimit> limits;
  for (const security::Rlimit& limit : process.rlimits) {
    if (!waits(limit) || limit.hard >= kOurDescriptors) {
      limits.push_back(waits(limit) ? security::Rlimit{limit.resource, limit.hard, limit.hard} : limit);  // to raise it takes one
    }
  }
  return limits;
}

std::vector<security::Rlimit> last_limits(const Process& process) {
  std::vector<security::Rlimit> limits = process.rlimits;
  std::erase_if(limits, [](const security::Rlimit& limit) { return !waits(limit); });
  return limits;
}

std::vector<std::string> with_home(const Process& process) {
  std::vector<std::string> environment = process.env;
  if (process::find_variable(environment, "HOME") == nullptr) {
    std::string home = "/";
    try {
      const Fd root = files::open("/", O_PATH | O_DIRECTORY);
      home = security::resolve_user(std::to_string(process.uid), security::read_account_files(root.get())).home;
    } catch (const Error&) {
      // A strange /etc/passwd is the container's own affair; it has no home then.
    }
    environment.push_back("HOME=" + home);
  }
  return environment;
}

std::string find(const Process& process) {
  try {
    return process::find_program(process.args.front(), process.env);
  } catch (Error& error) {
    // Engines tell "not found" from other failures by these words.
    throw error.code() == kExitNotFound && process.args.front().find('/') == std::string::npos
        ? Error(fmt::format("exec: {}: executable file not found in $PATH", text::quoted(process.args.front())), error.hint(), error.code())
        : error;
  }
}

void check_executable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw system_error(errno, fmt::format("exec: {}", text::quoted(path))).with_code(errno == ENOENT || errno == ENOTDIR ? kExitNotFound : kExitNotExecutable);
  }
  if (!S_ISREG(status.st_mode) || ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) {
    throw system_error(EACCES, fmt::format("exec: {}", text::quoted(path))).with_code(kExitNotExecutable);
  }
}

}  // namespace

Program become_user(const Process& process, const Spec& spec, const std::optional<security::SeccompProgram>& filter) {
  std::vector<std::string> environment = with_home(process);  // while we may open a file
  set_scheduling(process, spec);
  if (spec.personality) {
    check(::personality(*spec.personality), "set the personality");
  }
  const bool early = try_chdir(process.cwd);
  security::set_rlimits(0, first_limits(process));
  if (process.uid != 0) {
    give_pipes_to(process.uid, process.gid);
  }
  const security::Capabilities wanted = process.capabilities.value_or(security::Capabilities{});
  security::Capabilities granted = security::limit_bounding_and_keep(wanted);
  set_groups(process);
  sys::setresgid(process.gid, "the group of the program");
  sys::setresuid(process.uid, "the user of the program");
  if (loads_with_privilege(process, filter)) {
    granted.permitted |= security::kSysAdmin;
    granted.effective |= security::kSysAdmin;
    granted.ambient = 0;
  }
  security::set_capabilities(granted);
  if (process.no_new_privileges) {
    sys::prctl(PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS", 1, "no setuid program gives more rights than these");
  }
  if (!early && !try_chdir(process.cwd)) {
    throw system_error(EACCES, fmt::format("change directory to {}", process.cwd));
  }
  check_inside(process.cwd);
  ::umask(process.umask.value_or(022));
  std::string path = find(process);
  check_executable(path);
  return {std::move(path), std::move(environment)};
}

bool load_filter_early(const Process& process, const Spec& spec, const std::optional<security::SeccompProgram>& filter) {
  static constexpr long kStillToCome[] = {
      SYS_capset, SYS_prctl, SYS_sendmsg, SYS_recvmsg, SYS_close, SYS_accept4, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_close_range,
      SYS_prlimit64, SYS_execve, SYS_exit_group, SYS_read, SYS_write, SYS_mmap, SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise};
  if (!loads_with_privilege(process, filter) || filter->notifies || !spec.hooks.start_container.empty() ||
      !security::lets_through(*filter, kStillToCome)) {
    return false;
  }
  security::load(*filter);
  security::set_capabilities(security::grantable(process.capabilities.value_or(security::Capabilities{})));
  return true;
}

void become_program(const Process& process, const Program& program,
                    const std::optional<security::SeccompProgram>& filter,
                    const std::function<void(int listener)>& tell_agent, int preserve_fds) {
  process::restore_signals();
  const int rc = ::close_range(static_cast<unsigned>(STDERR_FILENO + 1 + preserve_fds), ~0U, CLOSE_RANGE_CLOEXEC);
  explain::tell(rc, "what is open is ours or our caller's, and not for the program (CVE-2024-21626)", [&] {
    return explain::Call{"close_range", fmt::format("{}, ~0U, CLOSE_RANGE_CLOEXEC", STDERR_FILENO + 1 + preserve_fds), ""};
  });
  check(rc, "keep descriptors from the program");
  security::set_rlimits(0, last_limits(process));
  if (filter) {
    const Fd listener = security::load(*filter);
    if (listener && tell_agent) {
      tell_agent(listener.get());
    }
    if (loads_with_privilege(process, filter)) {
      security::set_capabilities(security::grantable(process.capabilities.value_or(security::Capabilities{})));
    }
  }
  sys::execve(program.path, process.args, program.environment, "the container's first process becomes the program");
}

}  // namespace jigsaw::runtime
