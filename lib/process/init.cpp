#include "process/init.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <set>

#include "base/explain.h"
#include "process/signals.h"

namespace jigsaw::process {
namespace {

// Closes what is open above the standard descriptors: the gaps between the kept ones, then all behind the last of them.
void close_all_but(const std::set<int>& kept) {
  int first = STDERR_FILENO + 1;
  const auto close_from_first_to = [&](unsigned last) { ::close_range(static_cast<unsigned>(first), last, 0); };
  for (const int fd : kept) {  // in the order of their numbers
    if (fd < first) {
      continue;  // a standard one, or -1: none
    }
    if (fd > first) {
      close_from_first_to(static_cast<unsigned>(fd) - 1);
    }
    first = fd + 1;
  }
  close_from_first_to(~0U);
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
