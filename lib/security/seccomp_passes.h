// What a compiled filter answers, found out without the kernel: its instructions are followed for a system call whose
// arguments are not known (classic BPF, linux/filter.h; struct seccomp_data).
#pragma once

#include <span>

#include "security/seccomp.h"

namespace jigsaw::security {

// Whether the filter lets all of `calls` (numbers of this machine's own) through, whatever their arguments. False if that
// can't be told.
bool lets_through(const SeccompProgram& program, std::span<const long> calls);

}  // namespace jigsaw::security
