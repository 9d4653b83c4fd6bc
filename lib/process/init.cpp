#include "process/init.h"

#include <sys/prctl.h>

#include "process/signals.h"

namespace jigsaw::process {

void become_subreaper() {
  sys::prctl(PR_SET_CHILD_SUBREAPER, "PR_SET_CHILD_SUBREAPER", 1, "orphans of our descendants fall to us, not to PID 1");
}

int run_init(Gate& gate, const Program& program) {
  const SignalGuard guard;
  Child child = spawn({.why = "we stay behind as PID 1; the program is our child"},
                      [&](Gate&) -> int { exec(program); });
  child.release();
  child.wait_started();
  gate.channel().close();  // for our parent this is the moment in which the program runs
  return supervise(child).exit_code();
}

}  // namespace jigsaw::process
