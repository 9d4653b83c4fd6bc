// System calls that are newer than a filter: whoever wrote the list of what is allowed could not have known them, and a
// program that tries one expects ENOSYS where the kernel does not have it; then it falls back to an older call. EPERM,
// which such lists give to the rest, looks like a real refusal, and the program fails. So what has a higher number than
// every system call that the filter names does not exist (other runtimes have agreed on that since 2021).
//
// libseccomp has no rule for "all numbers above": a few BPF instructions are put before its own.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <vector>

namespace jigsaw::security {

// The highest number that a filter names for one architecture.
struct Newest {
  uint32_t architecture = 0;  // AUDIT_ARCH_*, as seccomp_data has it
  bool x32 = false;           // x86_64's numbers with bit 30 set
  uint32_t number = 0;
};

// The instructions: ENOSYS for higher numbers; everything else goes on behind them.
std::vector<sock_filter> refuse_newer(std::span<const Newest> newest);

}  // namespace jigsaw::security
