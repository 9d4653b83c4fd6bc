#include "security/seccomp.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <linux/audit.h>
#include <linux/filter.h>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/explain.h"
#include "base/files.h"
#include "base/text.h"
#include "security/seccomp_cache.h"
#include "security/seccomp_newer.h"
#include "security/seccomp_ranges.h"

namespace jigsaw::security {
namespace {

struct Action {
  std::string_view name;
  uint32_t value;
  bool takes_number;
};
constexpr std::array<Action, 9> kActions = {{{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false},
                                             {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true},
                                             {"SCMP_ACT_KILL", SCMP_ACT_KILL, false},
                                             {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false},
                                             {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false},
                                             {"SCMP_ACT_LOG", SCMP_ACT_LOG, false},
                                             {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY, false},
                                             {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true},
                                             {"SCMP_ACT_TRAP", SCMP_ACT_TRAP, false}}};

constexpr std::array<std::pair<std::string_view, scmp_compare>, 7> kOperators = {
    {{"SCMP_CMP_EQ", SCMP_CMP_EQ}, {"SCMP_CMP_GE", SCMP_CMP_GE}, {"SCMP_CMP_GT", SCMP_CMP_GT}, {"SCMP_CMP_LE", SCMP_CMP_LE},
     {"SCMP_CMP_LT", SCMP_CMP_LT}, {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}, {"SCMP_CMP_NE", SCMP_CMP_NE}}};

constexpr std::array<std::pair<std::string_view, unsigned>, 5> kFlags = {
    {{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
     {"SECCOMP_FILTER_FLAG_NEW_LISTENER", SECCOMP_FILTER_FLAG_NEW_LISTENER},
     {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
     {"SECCOMP_FILTER_FLAG_TSYNC", 0},  // there is one thread, and it loads the filter
     {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1U << 5}}};

constexpr std::array<std::string_view, 20> kArchitectures = {
    "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_X32", "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64", "SCMP_ARCH_LOONGARCH64"};

template <class Table>
std::vector<std::string> names_of_table(const Table& table) {
  std::vector<std::string> result;
  for (const auto& entry : table) {
    if constexpr (std::is_convertible_v<decltype(entry), std::string_view>) {
      result.emplace_back(entry);
    } else if constexpr (std::is_same_v<std::decay_t<decltype(entry)>, Action>) {
      result.emplace_back(entry.name);
    } else {
      result.emplace_back(entry.first);
    }
  }
  return result;
}

uint32_t action_value(const std::string& name, std::optional<uint32_t> number) {
  for (const Action& action : kActions) {
    if (action.name == name) {
      return action.value | (action.takes_number ? number.value_or(EPERM) & 0xffffU : 0U);
    }
  }
  throw fail("seccomp: unknown action {}{}", text::quoted(name), text::did_you_mean(name, known_seccomp_actions()));
}

scmp_compare operator_value(const std::string& name) {
  for (const auto& [known, value] : kOperators) {
    if (known == name) {
      return value;
    }
  }
  throw fail("seccomp: unknown operator {}{}", text::quoted(name), text::did_you_mean(name, known_seccomp_operators()));
}

unsigned flag_value(const std::string& name) {
  for (const auto& [known, value] : kFlags) {
    if (known == name) {
      return value;
    }
  }
  throw fail("seccomp: unknown flag {}{}", text::quoted(name), text::did_you_mean(name, known_seccomp_flags()));
}

void check_rc(int rc, std::string_view what) {
  if (rc < 0) {
    throw system_error(-rc, fmt::format("seccomp: {}", what));
  }
}

struct Release {
  void operator()(void* context) const { ::seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

uint32_t architecture_token(const std::string& name) {
  return ::seccomp_arch_resolve_name(text::lower(name.substr(std::string_view("SCMP_ARCH_").size())).c_str());
}

void add_architectures(scmp_filter_ctx context, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const uint32_t token = architecture_token(name);
    if (token != 0 && ::seccomp_arch_exist(context, token) != 0) {
      check_rc(::seccomp_arch_add(context, token), fmt::format("add {}", name));
    }
  }
}

// System calls that have a rule without conditions already. The library walks through all of a system call's rules for each that is added.
using Settled = std::set<std::pair<int, uint32_t>>;

void add_rule(scmp_filter_ctx context, const SeccompRule& rule, uint32_t action, Settled& settled) {
  // libseccomp joins the conditions of one rule by "and" and allows one for each argument; several for the same
  // argument become rules of their own, as other runtimes read them.
  std::array<int, 6> uses{};
  for (const SeccompArgument& argument : rule.arguments) {
    ++uses[argument.index];
  }
  const bool apart = std::any_of(uses.begin(), uses.end(), [](int count) { return count > 1; });
  std::vector<scmp_arg_cmp> conditions;
  for (const SeccompArgument& argument : rule.arguments) {
    const scmp_compare compare = operator_value(argument.comparison);
    conditions.push_back({argument.index, compare, argument.value, argument.second_value});
  }
  for (const std::string& name : rule.names) {
    const int number = ::seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR || (rule.arguments.empty() && !settled.emplace(number, action).second)) {
      continue;
    }
    const auto add = [&](unsigned count, const scmp_arg_cmp* first) {
      const int rc = ::seccomp_rule_add_array(context, action, number, count, first);
      check_rc(rc == -EEXIST ? 0 : rc, fmt::format("add a rule for {}", name));
    };
    if (!apart) {
      add(static_cast<unsigned>(conditions.size()), conditions.data());
    } else {
      for (const scmp_arg_cmp& condition : conditions) {
        add(1, &condition);
      }
    }
  }
}

// The highest number that the rules name, for this machine's architecture and those of the filter.
std::vector<Newest> newest_of(const Seccomp& seccomp) {
  std::vector<uint32_t> tokens = {::seccomp_arch_native()};
  for (const std::string& name : seccomp.architectures) {
    const uint32_t token = architecture_token(name);
    if (token != 0 && std::find(tokens.begin(), tokens.end(), token) == tokens.end()) {
      tokens.push_back(token);
    }
  }
  std::vector<Newest> result;
  for (const uint32_t token : tokens) {
    int highest = 0;
    for (const SeccompRule& rule : seccomp.rules) {
      for (const std::string& name : rule.names) {
        highest = std::max(highest, ::seccomp_syscall_resolve_name_arch(token, name.c_str()));
      }
    }
    if (highest > 0) {
      const bool x32 = token == SCMP_ARCH_X32;
      result.push_back({x32 ? uint32_t{AUDIT_ARCH_X86_64} : token, x32, static_cast<uint32_t>(highest)});
    }
  }
  return result;
}

// ENOSYS for what is newer than the filter, where the rest is refused with another number anyway. Who kills or asks for the
// rest shall do so, and a filter without room for it stays as it is.
std::vector<char> with_newer_refused(const Seccomp& seccomp, std::vector<char> instructions) {
  if (seccomp.default_action != "SCMP_ACT_ERRNO" || seccomp.default_error_number == ENOSYS) {
    return instructions;
  }
  const std::vector<sock_filter> before = refuse_newer(newest_of(seccomp));
  const size_t size = before.size() * sizeof(sock_filter);
  if (size > 0 && (instructions.size() + size) / sizeof(sock_filter) <= BPF_MAXINSNS) {
    instructions.insert(instructions.begin(), size, '\0');
    std::memcpy(instructions.data(), before.data(), size);
  }
  return instructions;
}

std::vector<char> shortened(const std::vector<char>& instructions) {
  std::vector<sock_filter> program(instructions.size() / sizeof(sock_filter));
  std::memcpy(program.data(), instructions.data(), instructions.size());
  program = as_ranges(program);
  std::vector<char> bytes(program.size() * sizeof(sock_filter));
  std::memcpy(bytes.data(), program.data(), bytes.size());
  return bytes;
}

std::vector<char> exported(scmp_filter_ctx context) {
  const Fd memory(check(::memfd_create("seccomp", MFD_CLOEXEC), "make a memory file"));
  check_rc(::seccomp_export_bpf(context, memory.get()), "compile the filter");
  check(::lseek(memory.get(), 0, SEEK_SET), "rewind a memory file");
  const std::string bytes = files::read_fd(memory.get(), "the compiled filter");
  return {bytes.begin(), bytes.end()};
}

std::vector<char> compile_now(const Seccomp& seccomp) {
  const uint32_t default_action = action_value(seccomp.default_action, seccomp.default_error_number);
  const Context context(::seccomp_init(default_action));
  if (!context) {
    throw fail("seccomp: {} can't be the default action here", seccomp.default_action);
  }
  add_architectures(context.get(), seccomp.architectures);
  ::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree instead of a list
  Settled settled;
  for (const SeccompRule& rule : seccomp.rules) {
    const uint32_t action = action_value(rule.action, rule.error_number);
    if (action != default_action) {  // libseccomp refuses rules that say nothing
      add_rule(context.get(), rule, action, settled);
    }
  }
  const std::vector<char> instructions = shortened(with_newer_refused(seccomp, exported(context.get())));
  if (instructions.size() / sizeof(sock_filter) > BPF_MAXINSNS) {
    throw Error(fmt::format("seccomp: the filter has {} instructions, and the kernel takes {}", instructions.size() / sizeof(sock_filter),
                            BPF_MAXINSNS),
                "name fewer system calls, arguments or architectures");
  }
  return instructions;
}

}  // namespace

std::vector<std::string> known_seccomp_actions() { return names_of_table(kActions); }
std::vector<std::string> known_seccomp_operators() { return names_of_table(kOperators); }
std::vector<std::string> known_seccomp_flags() { return names_of_table(kFlags); }
std::vector<std::string> known_seccomp_architectures() { return names_of_table(kArchitectures); }

void validate(const Seccomp& seccomp) {
  action_value(seccomp.default_action, {});
  for (const std::string& flag : seccomp.flags) {
    flag_value(flag);
  }
  for (const std::string& name : seccomp.architectures) {
    if (std::find(kArchitectures.begin(), kArchitectures.end(), name) == kArchitectures.end()) {
      throw fail("seccomp: unknown architecture {}{}", text::quoted(name), text::did_you_mean(name, known_seccomp_architectures()));
    }
  }
  size_t conditions = 0;
  for (const SeccompRule& rule : seccomp.rules) {
    action_value(rule.action, {});
    conditions += rule.arguments.empty() ? 0 : rule.names.size();
    for (const SeccompArgument& argument : rule.arguments) {
      operator_value(argument.comparison);
      if (argument.index > 5) {
        throw fail("seccomp: a system call has no argument {}", argument.index);
      }
    }
  }
  if (conditions > BPF_MAXINSNS) {  // each takes an instruction at least, and the library a time that grows with its square
    throw Error(fmt::format("seccomp: the filter has {} conditions, and the kernel takes {} instructions", conditions, BPF_MAXINSNS),
                "name fewer system calls, arguments or architectures");
  }
}

void require_known(const Seccomp& seccomp) {
  for (const SeccompRule& rule : seccomp.rules) {
    for (const std::string& name : rule.names) {
      if (::seccomp_syscall_resolve_name(name.c_str()) == __NR_SCMP_ERROR) {
        throw fail("seccomp: unknown system call {}", text::quoted(name));
      }
    }
  }
}

SeccompProgram compile(const Seccomp& seccomp, const std::string& cache_directory) {
  SeccompProgram program;
  for (const std::string& flag : seccomp.flags) {
    program.flags |= flag_value(flag);
  }
  // A listener may be wanted by its path alone; one that nobody would get is not made.
  program.flags &= ~unsigned{SECCOMP_FILTER_FLAG_NEW_LISTENER};
  program.notifies = !seccomp.listener_path.empty();
  if (program.notifies) {
    program.flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
  }
  const std::string rules = rules_text(seccomp, program);
  if (auto cached = take_cached(cache_directory, rules)) {
    return std::move(*cached);
  }
  program.instructions = compile_now(seccomp.default_for ? default_rules(*seccomp.default_for) : seccomp);
  keep_cached(program, cache_directory, rules);
  return program;
}

Fd load(const SeccompProgram& program) {
  const sock_fprog filter{static_cast<unsigned short>(program.instructions.size() / sizeof(sock_filter)),
                          const_cast<sock_filter*>(reinterpret_cast<const sock_filter*>(program.instructions.data()))};
  const long rc = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program.flags, &filter);
  explain::tell(rc, "from here on the kernel asks this filter about every system call", [&] {
    return explain::Call{"seccomp", fmt::format("SECCOMP_SET_MODE_FILTER, {:#x}, {{{} instructions}}", program.flags, filter.len), ""};
  });
  check(rc, "load the seccomp filter");
  return program.notifies ? Fd(static_cast<int>(rc)) : Fd();
}

}  // namespace jigsaw::security
