#include "runtime/identity.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "base/explain.h"
#include "base/files.h"
#include "base/sys.h"
#include "process/exec.h"
#include "process/signals.h"
#include "runtime/scheduling.h"
#include "runtime/setup.h"
#include "security/user.h"

namespace jigsaw::runtime {
namespace {

constexpr security::CapabilitySet kSysAdmin = security::CapabilitySet{1} << 21;

bool loads_with_privilege(const Process& process, const std::optional<security::SeccompProgram>& filter) {
  return filter && !process.no_new_privileges;
}

void set_groups(const Process& process) {
  try {
    sys::setgroups(process.additional_gids, "the groups of whoever called us are not the container's (CVE-2022-36109)");
  } catch (const Error& error) {
    // In a user namespace made without privilege setgroups(2) is switched off; then there are none to drop.
    if (error.error_number() != EPERM || !process.additional_gids.empty() ||
        files::read_if_exists("/proc/self/setgroups").value_or("deny") != "deny\n") {
      throw;
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

void set_label(const std::string& file, const std::string& value, const std::string& what) {
  if (const int number = sys::try_write_file(file, value, "the security module confines the program"); number != 0) {
    throw system_error(number, fmt::format("apply the {} {}", what, value))
        .with_hint(fmt::format("the running kernel may have no {}", what.substr(0, what.find(' '))));
  }
}

void set_labels(const Process& process) {
  if (!process.apparmor_profile.empty() && process.apparmor_profile != "unconfined") {
    if (files::read_if_exists("/sys/module/apparmor/parameters/enabled").value_or("N") != "Y\n") {
      throw Error(fmt::format("the AppArmor profile {} can't be applied: this kernel runs without AppArmor", process.apparmor_profile));
    }
    set_label("/proc/self/attr/apparmor/exec", "exec " + process.apparmor_profile, "AppArmor profile");
  }
  if (!process.selinux_label.empty()) {
    if (!files::exists("/proc/self/attr/exec") || !files::exists("/sys/fs/selinux/enforce")) {
      throw Error(fmt::format("the SELinux label {} can't be applied: this kernel runs without SELinux", process.selinux_label));
    }
    set_label("/proc/self/attr/exec", process.selinux_label, "SELinux label");
  }
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
        ? Error(fmt::format("exec: \"{}\": executable file not found in $PATH", process.args.front()), error.hint(), error.code())
        : error;
  }
}

void check_executable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw system_error(errno, fmt::format("exec: \"{}\"", path)).with_code(errno == ENOENT || errno == ENOTDIR ? kExitNotFound : kExitNotExecutable);
  }
  if (!S_ISREG(status.st_mode) || ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) {
    throw system_error(EACCES, fmt::format("exec: \"{}\"", path)).with_code(kExitNotExecutable);
  }
}

}  // namespace

std::string become_user(const Process& process, const Spec& spec, const std::optional<security::SeccompProgram>& filter) {
  set_scheduling(process, spec);
  set_labels(process);
  if (spec.personality) {
    check(::personality(*spec.personality), "set the personality");
  }
  const bool early = try_chdir(process.cwd);
  security::set_rlimits(0, process.rlimits);
  const security::Capabilities wanted = process.capabilities.value_or(security::Capabilities{});
  security::Capabilities granted = security::limit_bounding_and_keep(wanted);
  set_groups(process);
  sys::setresgid(process.gid, "the group of the program");
  sys::setresuid(process.uid, "the user of the program");
  if (loads_with_privilege(process, filter)) {
    granted.permitted |= kSysAdmin;
    granted.effective |= kSysAdmin;
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
  std::string program = find(process);
  check_executable(program);
  return program;
}

void become_program(const Process& process, const std::string& program,
                    const std::optional<security::SeccompProgram>& filter, process::Gate& gate, int preserve_fds) {
  const std::vector<std::string> environment = with_home(process);
  process::restore_signals();
  const int rc = ::close_range(static_cast<unsigned>(STDERR_FILENO + 1 + preserve_fds), ~0U, CLOSE_RANGE_CLOEXEC);
  explain::tell(rc, "what is open is ours or our caller's, and not for the program (CVE-2024-21626)", [&] {
    return explain::Call{"close_range", fmt::format("{}, ~0U, CLOSE_RANGE_CLOEXEC", STDERR_FILENO + 1 + preserve_fds), ""};
  });
  check(rc, "keep descriptors from the program");
  if (filter) {
    const Fd listener = security::load(*filter);
    if (listener) {
      gate.tell(kStopListener, {listener.get()});
    }
    if (loads_with_privilege(process, filter)) {
      const security::Capabilities wanted = process.capabilities.value_or(security::Capabilities{});
      security::set_capabilities(security::grantable(wanted));
    }
  }
  sys::execve(program, process.args, environment, "the container's first process becomes the program");
}

}  // namespace jigsaw::runtime
