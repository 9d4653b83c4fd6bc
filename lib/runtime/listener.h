// The agent of a seccomp filter with SCMP_ACT_NOTIFY: it answers system calls in the container's place, and gets the
// filter's descriptor with a "container process state" (config-linux.md, "The Container Process State").
//
// The process that loads the filter sends it by itself, over a connection that was made before: whatever the filter
// stops from then on, the agent is there to answer. Only what sending needs must not be stopped.
#pragma once

#include <optional>
#include <string>

#include "base/fd.h"
#include "runtime/spec.h"
#include "runtime/state.h"

namespace jigsaw::runtime {

struct Listener {
  std::string path;
  std::string metadata;
  Fd socket;
};

// Throws if the filter notifies nobody, or stops the call that would hand over its descriptor.
void validate_listener(const security::Seccomp& seccomp);
// Connects to the agent; nothing if there is none ("").
std::optional<Listener> connect_listener(const std::string& path, const std::string& metadata);

// Our pid as /proc shows it, asked while that is still the runtime's own.
pid_t pid_outside();
// What the agent reads: of process `pid`, in a container in `state` and `status`.
std::string process_state(const Listener& listener, const State& state, Status status, pid_t pid);
void announce(const Listener& listener, const std::string& process_state, int descriptor);

}  // namespace jigsaw::runtime
