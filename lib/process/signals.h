// Signals: a parent that stands between a terminal or a supervisor and a program hands on what it receives, and reaps.
#pragma once

#include <signal.h>

#include "process/spawn.h"
#include "process/status.h"

namespace jigsaw::process {

// Puts every signal disposition to the default and unblocks all, as a program expects at its start.
void restore_signals();

// Blocks the signals that supervise() hands on, so that none is lost between the clone and supervise(). Call it before
// spawn(); exec() unblocks them in the child.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();  // puts the former mask back
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  sigset_t former_;
};

struct SuperviseOptions {
  // The master of the program's terminal, or -1: what comes from our stdin goes to it, what it says to our stdout, and
  // SIGWINCH copies the window's size instead of being handed on.
  int terminal = -1;
  // kEnd: SIGHUP, SIGINT, SIGQUIT and SIGTERM kill the child (as PID 1 of a namespace it would not even notice them), and
  // reach us once the SignalGuard is gone.
  enum class Requests { kHandOn, kEnd } requests = Requests::kHandOn;
};
// Waits for `child`'s end; meanwhile every signal that reaches us is sent to it (not SIGCHLD, SIGTTIN, SIGTTOU and
// SIGURG; SIGKILL and SIGSTOP can't be caught; what a key like Ctrl-C sends has reached it already), and orphans that fall
// to us are reaped (PR_SET_CHILD_SUBREAPER is the caller's to set). Needs a SignalGuard.
ExitStatus supervise(Child& child, const SuperviseOptions& options = {});

}  // namespace jigsaw::process
