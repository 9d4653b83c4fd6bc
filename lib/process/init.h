// init: the duties of a process that others are handed to.
//
// When a parent ends before its children, the kernel gives them to the nearest ancestor that is a *subreaper*
// (prctl(2), PR_SET_CHILD_SUBREAPER), else to PID 1 of their PID namespace. Whoever gets them must wait for them, or each
// stays a zombie for ever: an entry in the process table that holds nothing but an exit status.
//
// PID 1 of a namespace is special twice more: the kernel drops signals for which it has no handler (even SIGTERM), and
// when it ends all others in the namespace are killed. A program that was not written for that gets run_init() above
// it. Man page: pid_namespaces(7).
#pragma once

#include "process/exec.h"
#include "process/spawn.h"

namespace jigsaw::process {

// From now on orphans among our descendants fall to us.
void become_subreaper();

// The body of a child that is to be PID 1: runs `program` as its own child, hands signals on to it, reaps every orphan,
// and gives the program's exit code. The parent's wait_started() returns when the program runs, and throws if it
// can't. It closes every descriptor but the standard ones: what an exec would have closed is no business of PID 1, whose
// /proc/1/fd the whole container sees.
int run_init(Gate& gate, const Program& program);

}  // namespace jigsaw::process
