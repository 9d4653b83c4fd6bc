// Hooks: programs of others that look at a container or change it at points of its life (runtime-spec, config.md,
// "POSIX-platform Hooks"). They read the container's state as JSON on stdin.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/spec.h"

namespace jigsaw::runtime {

struct HookStage {
  std::string_view name;  // "createRuntime", for messages
  std::string directory;  // where they stand: the bundle; "" leaves it
  enum class Where { kRuntime, kContainer } where = Where::kRuntime;  // in the container our environment is not theirs
};

// The container's state as JSON. Asked for only if there is a hook to read it.
using StateText = std::function<std::string()>;

// Runs them one after another. Throws at the first that fails, or that is not done when its time is over: then it is
// killed with its whole process group. A hook need not read what it is given.
void run_hooks(const std::vector<Hook>& hooks, const StateText& state, const HookStage& stage);
// The same where a failure must not stop the work (poststop): it is logged.
void run_hooks_and_warn(const std::vector<Hook>& hooks, const StateText& state, const HookStage& stage);

}  // namespace jigsaw::runtime
