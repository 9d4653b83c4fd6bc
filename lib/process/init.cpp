#include "process/init.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <set>

#include "base/explain.h"
#include "process/signals.h"

namespace jigsaw::process {
namespace {

void close_all_but(const std::set<int>& kept) {
  unsigned first = STDERR_FILENO + 1;
  for (const int fd : kept) {
    const auto next = static_cast<unsigned>(fd);
    if (fd > STDERR_FILENO && next > first) {
      ::close_range(first, next - 1, 0);
    }
    first = fd > STDERR_FILENO ? next + 1 : first;
  }
  ::close_range(first, ~0U, 0);
}

}  // namespace

void become_subreaper() {
  sys::prctl(PR_SET_CHILD_SUBREAPER, "PR_SET_CHILD_SUBREAPER", 1, "orphans of our descendants fall to us, not to PID 1");
}

int run_init(Gate& gate, const Program& program) {
  close_all_but({gate.channel().fd(), explain::descriptor()});
  const SignalGuard guard;
  Child child = spawn({.why = "we stay behind as PID 1; the program is our child"},
                      [&](Gate&) -> int { exec(program); });
  child.release();
  child.wait_started();
  gate.channel().close();  // for our parent this is the moment in which the program runs
  return supervise(child).exit_code();
}

}  // namespace jigsaw::process
