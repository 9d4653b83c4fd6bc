#include "runtime/kernel_settings.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/explain.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"
#include "namespaces/clocks.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace jigsaw::runtime {
namespace {

// "net.ipv4.ip_forward" -> "net/ipv4/ip_forward"; if a slash comes first, slashes separate already.
std::string sysctl_path(std::string key) {
  const size_t separator = key.find_first_of("./");
  if (separator != std::string::npos && key[separator] == '.') {
    for (char& byte : key) {
      byte = byte == '.' ? '/' : byte == '/' ? '.' : byte;
    }
  }
  return key;
}

}  // namespace

void become_root_of_user_namespace() {
  sys::setresgid(0, "the first group of the new user namespace");
  sys::setresuid(0, "the first user of the new user namespace: the kernel's overflow user may do nothing");
}

void set_clocks(const Spec& spec) {
  if (spec.time_offsets.empty()) {
    return;
  }
  std::vector<namespaces::ClockOffset> offsets;
  for (const auto& [clock, offset] : spec.time_offsets) {
    offsets.push_back({clock, offset.seconds, offset.nanoseconds});
  }
  namespaces::enter_shifted_clocks(offsets);
}

void set_names(const Spec& spec) {
  if (!spec.hostname.empty()) {
    sys::sethostname(spec.hostname, "the container has a name of its own");
  }
  if (!spec.domainname.empty()) {
    sys::setdomainname(spec.domainname, "and a NIS domain name");
  }
}

void write_sysctls(const Spec& spec) {
  if (spec.sysctl.empty()) {
    return;
  }
  constexpr const char* kWhy = "a setting of the container's own namespaces";
  const Fd proc = sys::new_filesystem("proc", "proc", {}, 0, "a /proc that nobody else can reach or replace");
  for (const auto& setting : spec.sysctl) {
    const std::string& key = setting.first;  // no structured binding: clang 14 can't capture one
    const std::string& value = setting.second;
    const std::string path = "sys/" + sysctl_path(key);
    const Fd file = sys::try_openat2(proc.get(), path, {.flags = O_WRONLY, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS}, kWhy);
    if (!file && errno == ENOENT) {
      throw fail("there is no sysctl {} in this kernel", text::quoted(key)).with_hint("'sysctl -a' lists those that there are");
    }
    check(file ? 0 : -1, "open the sysctl {}", key);
    const ssize_t written = ::write(file.get(), value.data(), value.size());
    explain::tell(written, kWhy, [&] {
      return explain::Call{"write", fmt::format("/proc/{}, \"{}\", {}", path, value, value.size()), fmt::format("sysctl {}={}", key, value)};
    });
    check(written, "set the sysctl {} to {}", key, value);
  }
}

void new_keyring(const Surroundings& surroundings) {
  if (surroundings.keyring == Surroundings::Keyring::kInherit) {
    return;
  }
  const long rc = ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "_container");
  explain::tell(rc, "the keys of the caller's session are not the container's", [&] {
    return explain::Call{"keyctl", "KEYCTL_JOIN_SESSION_KEYRING, \"_container\"", "keyctl session"};
  });
  if (rc < 0 && errno != ENOSYS) {
    log::debug("no session keyring of its own: {}", errno_text(errno));
  }
}

void hide_environment() {
  for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable) {
    ::explicit_bzero(*variable, std::strlen(*variable));
  }
}

void die_with_parent() {
  sys::prctl(PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG", SIGKILL, "whoever runs us in the foreground takes us with him");
}

}  // namespace jigsaw::runtime
