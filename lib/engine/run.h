// run: an image becomes a container.
//
//   image (layers, config) ── plan() ──> runtime::Spec ── runtime::run() ──> exit status
//
// The container's record and writable layer are made first. Its layers are stacked as an overlay that is attached
// nowhere on the host, only inside the container's own mount namespace; so whatever dies, no mount stays behind.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/containers.h"
#include "engine/plan.h"

namespace jigsaw::engine {

// Runs the container to its end. Returns the exit code: the program's own, 128 + n for signal n. Throws with 125 if the
// container could not be made, 126 and 127 if its program could not be executed. An image that is not here is asked of
// `fetch`, if there is one; what it returns, unless 0, is the exit code.
int run(const Paths& paths, const RunOptions& options, const std::function<int()>& fetch = nullptr);

struct ExecOptions {
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::string working_directory;
  std::string user;
  bool terminal = false;
  bool interactive = false;
  bool privileged = false;
};
// Runs a further program in a running container; returns its exit code.
int exec(const Paths& paths, const std::string& name_or_id, const ExecOptions& options);

// Sends a signal to a running container's first process; with SIGKILL to all, and waits until it has ended.
void kill(const Paths& paths, const Container& container, int signal);

// Clears up after runs that were killed: processes, cgroups, states, and the containers of `run --rm`. Every run begins
// with it; it looks only at what is marked as running. Returns the ids.
std::vector<std::string> sweep(const Paths& paths);

}  // namespace jigsaw::engine
