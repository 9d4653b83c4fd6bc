// Seccomp: which system calls a process may make (seccomp(2)). The rules are plain data, in the terms of the OCI
// runtime specification (config-linux.md, "Seccomp"); libseccomp compiles them into a BPF program, which the kernel runs
// at each system call. It can't be taken off again, and all descendants inherit it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"

namespace jigsaw::security {

struct SeccompArgument {
  uint32_t index = 0;       // 0-5
  uint64_t value = 0;
  uint64_t second_value = 0;  // with SCMP_CMP_MASKED_EQ: the value is a mask, this is what must remain
  std::string comparison;   // "SCMP_CMP_EQ"
  bool operator==(const SeccompArgument&) const = default;
};

struct SeccompRule {
  std::vector<std::string> names;  // system calls; those that this machine does not know are passed over
  std::string action;              // "SCMP_ACT_ALLOW"
  std::optional<uint32_t> error_number;
  std::vector<SeccompArgument> arguments;  // all must hold
};

struct Seccomp {
  std::string default_action = "SCMP_ACT_ALLOW";
  std::optional<uint32_t> default_error_number;
  std::vector<std::string> architectures;  // "SCMP_ARCH_X86_64"; none: this machine's
  std::vector<std::string> flags;          // "SECCOMP_FILTER_FLAG_LOG"
  std::vector<SeccompRule> rules;
  std::string listener_path;               // SCMP_ACT_NOTIFY: the socket that gets the notification descriptor
  std::string listener_metadata;
  // Set: the default filter for these capabilities, and nothing else counts. Its rules, some 450 names, are written down when it
  // is compiled; in the cache it goes by this number.
  std::optional<uint64_t> default_for;
};

// A compiled filter: BPF instructions, and the flags for seccomp(2).
struct SeccompProgram {
  std::vector<char> instructions;
  unsigned flags = 0;
  bool notifies = false;
  std::string cached_at;  // the file of the cache that holds it, "" if none does
};

// What the kernel is asked for by default: the system calls that docker and podman allow in substance, and with each of
// `capabilities` (bits, see capabilities.h) those that it stands for.
inline Seccomp default_seccomp(uint64_t capabilities) { return {.default_for = capabilities}; }
Seccomp default_rules(uint64_t capabilities);
// A number that changes with the lists of system calls above: cached filters of former lists are not taken.
uint64_t default_rules_version();

// Throws on unknown actions, operators, architectures and flags.
void validate(const Seccomp& seccomp);
// Throws if it names a system call that we do not know: otherwise such names are passed over.
void require_known(const Seccomp& seccomp);
// The filter as a program; `cache_directory` ("": none) keeps programs by the hash of their rules, since compiling takes
// longer than making a container.
SeccompProgram compile(const Seccomp& seccomp, const std::string& cache_directory = {});
// Keeps a program in a file, by a link to the cache where that is possible, and takes it from there.
void save(const SeccompProgram& program, const std::string& path);
std::optional<SeccompProgram> load_saved(const std::string& path);
// Puts it on the calling thread. Needs no_new_privs or CAP_SYS_ADMIN. Gives the notification descriptor if it notifies.
Fd load(const SeccompProgram& program);

// The words that rules may use: for `features`.
std::vector<std::string> known_seccomp_actions();
std::vector<std::string> known_seccomp_operators();
std::vector<std::string> known_seccomp_architectures();
std::vector<std::string> known_seccomp_flags();

}  // namespace jigsaw::security
