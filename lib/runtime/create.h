// Making a container, for create() and run(): what the parent does on its side of the gate.
#pragma once

#include <functional>
#include <optional>

#include "cgroups/cgroup.h"
#include "process/spawn.h"
#include "runtime/container.h"
#include "runtime/state.h"
#include "security/seccomp.h"

namespace jigsaw::runtime {

// kLater: a start socket waits for start(). kAtOnce: the program runs, or the child tells why it can't, and the container dies
// with the caller; kAtOnceDetached: it outlives him.
enum class Starting { kLater, kAtOnce, kAtOnceDetached };

// A container whose first process has all it needs, and either waits for start() or goes on to its program.
struct Made {
  StateFile file;
  State state;
  cgroups::Cgroup cgroup;
  process::Child child;
  Fd terminal;  // its master, if it was not sent to a console socket
};

// Records, makes the cgroup, clones, prepares, waits until the child has made the container. Whatever fails on the way, nothing of
// it stays. `about_to_start` is called before the program can run, maybe while the child is still at its set-up.
Made make(const Spec& spec, const Surroundings& surroundings, Starting starting,
          const std::function<void(const State&)>& about_to_start = nullptr);

// What only we can set for a process that has given up its rights: oom_score_adj. If the kernel refuses to lower it for
// want of CAP_SYS_RESOURCE it stays as it is, with a warning.
void prepare_process(const Process& process, pid_t pid);

// Ends what is left of a container and removes its cgroup and its state; runs its poststop hooks.
void remove_all(StateFile& file, const State& state);

// The container's compiled filter, kept for the programs that exec() adds; nothing if it has none.
std::optional<security::SeccompProgram> load_filter(const StateFile& file, const State& state);

}  // namespace jigsaw::runtime
