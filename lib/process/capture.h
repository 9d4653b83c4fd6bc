// capture: a program run for what it says: text on its standard input, and its standard output as text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "process/exec.h"
#include "process/status.h"

namespace jigsaw::process {

struct Captured {
  ExitStatus status;
  std::string output;
};

// Runs the program to its end. Its standard error is ours. Throws if it can't be started, or says more than `limit` bytes.
Captured capture(const Program& program, std::string_view input, size_t limit = 1U << 20);

}  // namespace jigsaw::process
