// Hooks: programs of others that look at a container or change it at points of its life (runtime-spec, config.md,
// "POSIX-platform Hooks"). They read the container's state as JSON on stdin.
#pragma once

#include <string>
#include <vector>

#include "runtime/spec.h"

namespace jigsaw::runtime {

// Runs them one after another. Throws at the first that fails, or that is not done when its time is over: then it is
// killed with its whole process group. `stage` is "createRuntime" and the like, for messages. A hook need not read what
// it is given.
void run_hooks(const std::vector<Hook>& hooks, const std::string& state, std::string_view stage);
// The same where a failure must not stop the work (poststart, poststop): it is logged.
void run_hooks_and_warn(const std::vector<Hook>& hooks, const std::string& state, std::string_view stage);

}  // namespace jigsaw::runtime
