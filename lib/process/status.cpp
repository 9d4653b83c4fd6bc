#include "process/status.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include "base/flags.h"

namespace jigsaw::process {

std::string ExitStatus::text() const {
  return signal != 0 ? fmt::format("killed by {}", flags::signal_name(signal)) : fmt::format("exit code {}", code);
}

ExitStatus from_wait_status(int status) {
  if (WIFSIGNALED(status)) {
    return ExitStatus{.signal = WTERMSIG(status)};
  }
  return ExitStatus{.code = WEXITSTATUS(status)};
}

}  // namespace jigsaw::process
