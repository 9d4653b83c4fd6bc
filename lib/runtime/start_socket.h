// The start gate of a created container, which outlives the process that created it: a socket beside its state.
//
//     create: makes the socket, the child inherits it │ start: connects, says "go", waits for the end of file
//     the child: accept ── go ── … ── execve()        │        (execve closes the socket) or for the child's error
//
// It is a path with mode 0600 and never an abstract socket, which anyone in the same network namespace could
// connect to (CVE-2020-15257).
#pragma once

#include "base/fd.h"
#include "process/channel.h"
#include "process/spawn.h"
#include "runtime/state.h"

namespace jigsaw::runtime {

Fd listen_for_start(const StateFile& file);
// In the child: waits until somebody says "go", then lets him have what the gate would say. Returns at once without a
// socket.
void wait_for_start(const Fd& socket, process::Gate& gate);
// Says "go"; returns when the program was executed. Throws the child's error, or if nobody listens.
void say_go(const StateFile& file);

}  // namespace jigsaw::runtime
