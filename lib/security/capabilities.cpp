#include "security/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "base/explain.h"
#include "base/log.h"
#include "base/text.h"

namespace jigsaw::security {
namespace {

// In the order of their numbers (linux/capability.h).
constexpr std::array<std::string_view, 41> kCapabilityNames = {
    "CHOWN",          "DAC_OVERRIDE",   "DAC_READ_SEARCH", "FOWNER",          "FSETID",        "KILL",
    "SETGID",         "SETUID",         "SETPCAP",         "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_ADMIN",      "NET_RAW",        "IPC_LOCK",        "IPC_OWNER",       "SYS_MODULE",    "SYS_RAWIO",
    "SYS_CHROOT",     "SYS_PTRACE",     "SYS_PACCT",       "SYS_ADMIN",       "SYS_BOOT",      "SYS_NICE",
    "SYS_RESOURCE",   "SYS_TIME",       "SYS_TTY_CONFIG",  "MKNOD",           "LEASE",         "AUDIT_WRITE",
    "AUDIT_CONTROL",  "SETFCAP",        "MAC_OVERRIDE",    "MAC_ADMIN",       "SYSLOG",        "WAKE_ALARM",
    "BLOCK_SUSPEND",  "AUDIT_READ",     "PERFMON",         "BPF",             "CHECKPOINT_RESTORE"};

constexpr CapabilitySet bit(int number) { return CapabilitySet{1} << number; }

bool is_in_bounding_set(int number) { return ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1; }

// The kernel's newest capability: those above are refused with EINVAL. Most likely it is the newest that we know.
int last_capability() {
  static const int last = [] {
    const auto is_known = [](int number) { return number < 64 && ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; };
    int number = static_cast<int>(kCapabilityNames.size()) - 1;
    while (number > 0 && !is_known(number)) {
      --number;
    }
    while (is_known(number + 1)) {
      ++number;
    }
    return number;
  }();
  return last;
}

// Of `asked`, those that are in the bounding set.
CapabilitySet read_bounding(CapabilitySet asked) {
  CapabilitySet found = 0;
  for (int number = 0; number <= last_capability(); ++number) {
    found |= (asked & bit(number)) != 0 && is_in_bounding_set(number) ? bit(number) : 0;
  }
  return found;
}

struct Words {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
};

// Our own, as the kernel has them now. `bounding`: which of the bounding set to look for, one system call for each.
Capabilities current_of(CapabilitySet bounding) {
  Words words;
  check(::syscall(SYS_capget, &words.header, words.data.data()), "read our capabilities");
  const auto join = [](uint32_t low, uint32_t high) { return low | (CapabilitySet{high} << 32); };
  Capabilities now;
  now.effective = join(words.data[0].effective, words.data[1].effective);
  now.permitted = join(words.data[0].permitted, words.data[1].permitted);
  now.inheritable = join(words.data[0].inheritable, words.data[1].inheritable);
  now.bounding = read_bounding(bounding);
  const CapabilitySet may_be_ambient = now.permitted & now.inheritable;  // capabilities(7): no others ever are
  for (int number = 0; may_be_ambient != 0 && number <= last_capability(); ++number) {
    now.ambient |= ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, number, 0, 0) == 1 ? bit(number) : 0;
  }
  return now;
}

void call_capset(const Capabilities& c, sys::Why why) {
  Words words;
  for (size_t half = 0; half < 2; ++half) {
    const auto part = [&](CapabilitySet set) { return static_cast<uint32_t>(set >> (32 * half)); };
    words.data[half] = {.effective = part(c.effective), .permitted = part(c.permitted), .inheritable = part(c.inheritable)};
  }
  const long rc = ::syscall(SYS_capset, &words.header, words.data.data());
  explain::tell(rc, why, [&] {
    return explain::Call{"capset", fmt::format("effective={:#x}, permitted={:#x}, inheritable={:#x}", c.effective,
                                               c.permitted, c.inheritable), ""};
  });
  check(rc, "set the capabilities");
}

Capabilities allowed(const Capabilities& wanted, const Capabilities& now) {
  Capabilities left;
  left.bounding = wanted.bounding & now.bounding;
  left.permitted = wanted.permitted & now.permitted;
  left.effective = wanted.effective & left.permitted;
  left.inheritable = wanted.inheritable & now.permitted;
  left.ambient = wanted.ambient & left.permitted & left.inheritable;
  return left;
}

}  // namespace

std::optional<int> capability_number(std::string_view name) {
  std::string word = text::upper(name);
  const std::string_view bare = std::string_view(word).starts_with("CAP_") ? std::string_view(word).substr(4) : word;
  for (size_t i = 0; i < kCapabilityNames.size(); ++i) {
    if (kCapabilityNames[i] == bare) {
      return static_cast<int>(i);
    }
  }
  return std::nullopt;
}

std::string capability_name(int number) {
  const auto index = static_cast<size_t>(number);
  return index < kCapabilityNames.size() ? fmt::format("CAP_{}", kCapabilityNames[index]) : fmt::format("CAP_{}", number);
}

std::vector<std::string> all_capability_names() { return names_of(bit(static_cast<int>(kCapabilityNames.size())) - 1); }

CapabilitySet parse_capabilities(const std::vector<std::string>& names, std::vector<std::string>* unknown) {
  CapabilitySet set = 0;
  for (const std::string& name : names) {
    if (const auto number = capability_number(name)) {
      set |= bit(*number);
    } else if (unknown != nullptr) {
      unknown->push_back(name);
    } else {
      throw fail("unknown capability {}{}", text::quoted(name), text::did_you_mean(text::upper(name), all_capability_names()))
          .with_hint("capabilities(7) has their names: NET_ADMIN or CAP_NET_ADMIN, for example");
    }
  }
  return set;
}

std::vector<std::string> names_of(CapabilitySet set) {
  std::vector<std::string> names;
  for (int number = 0; number < 64; ++number) {
    if ((set & bit(number)) != 0) {
      names.push_back(capability_name(number));
    }
  }
  return names;
}

CapabilitySet default_capabilities() {
  static const CapabilitySet set = parse_capabilities({"CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW",
                                                       "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE",
                                                       "SYS_CHROOT", "KILL", "AUDIT_WRITE"});
  return set;
}

CapabilitySet every_capability() { return bit(last_capability() + 1) - 1; }

CapabilitySet adjust(CapabilitySet base, const std::vector<std::string>& add, const std::vector<std::string>& drop) {
  const auto bits = [](const std::string& word) {
    return text::upper(word) == "ALL" ? every_capability() : parse_capabilities({word});
  };
  for (const std::string& word : drop) {
    base &= ~bits(word);
  }
  for (const std::string& word : add) {
    base |= bits(word);
  }
  return base;
}

Capabilities for_user(CapabilitySet set, uid_t uid) {
  const CapabilitySet own = uid == 0 ? set : 0;
  return {.bounding = set, .permitted = own, .effective = own};
}

Capabilities grantable(const Capabilities& wanted) { return allowed(wanted, current_of(wanted.bounding)); }

Capabilities limit_bounding_and_keep(const Capabilities& wanted) {
  const CapabilitySet all_wanted = wanted.permitted | wanted.effective | wanted.bounding | wanted.ambient;
  const Capabilities now = current_of(all_wanted);
  const CapabilitySet missing = all_wanted & ~(now.permitted & now.bounding);
  if (missing != 0) {
    log::warning("these capabilities can't be granted here, and are left out: {}", text::join(names_of(missing), ", "));
  }
  const Capabilities left = allowed(wanted, now);
  for (int number = 0; number <= last_capability(); ++number) {
    if ((left.bounding & bit(number)) != 0) {
      continue;
    }
    const int rc = ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
    explain::tell(rc, "nothing that is executed from here on can win this capability back", [&] {
      return explain::Call{"prctl", fmt::format("PR_CAPBSET_DROP, {}", capability_name(number)), ""};
    });
    // Without CAP_SETPCAP nothing can be dropped; what has gone already need not be.
    check(rc < 0 && errno == EPERM && !is_in_bounding_set(number) ? 0 : rc, "drop {} from the bounding set", capability_name(number));
  }
  sys::prctl(PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS", 1, "the change of user would take all capabilities: keep them for now");
  return left;
}

void set_capabilities(const Capabilities& capabilities) {
  call_capset(capabilities, "exactly the capabilities that were asked for, and no others");
  const int cleared = ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  explain::tell(cleared, "what we inherited for programs that are not root goes first", [] {
    return explain::Call{"prctl", "PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL", ""};
  });
  for (int number = 0; number <= last_capability(); ++number) {
    if ((capabilities.ambient & bit(number)) != 0) {
      const int rc = ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0);
      explain::tell(rc, "a program that is not root keeps it over execve", [&] {
        return explain::Call{"prctl", fmt::format("PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, {}", capability_name(number)), ""};
      });
      if (rc < 0) {
        log::warning("the ambient capability {} can't be set: {}", capability_name(number), errno_text(errno));
      }
    }
  }
}

}  // namespace jigsaw::security
