// How a process ended: wait(2) in a form that can be printed and handed on.
#pragma once

#include <sys/types.h>

#include <string>

namespace jigsaw::process {

struct ExitStatus {
  int code = 0;    // the program's own exit code, if `signal` is 0
  int signal = 0;  // the signal that ended it, or 0
  // What a shell would report: the code, or 128 + signal.
  int exit_code() const { return signal != 0 ? 128 + signal : code; }
  // "exit code 3" or "killed by SIGKILL".
  std::string text() const;
};

// From wait(2)'s status word.
ExitStatus from_wait_status(int status);

}  // namespace jigsaw::process
