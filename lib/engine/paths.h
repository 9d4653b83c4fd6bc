// Where jigsaw keeps its things: --root for what survives a reboot (images, layers, containers), --run-root for what
// does not (states of running containers, locks of the living).
#pragma once

#include <string>

namespace jigsaw::engine {

struct Paths {
  std::string root;      // default /var/lib/jigsaw; rootless $XDG_DATA_HOME/jigsaw or ~/.local/share/jigsaw
  std::string run_root;  // default /run/jigsaw; rootless $XDG_RUNTIME_DIR/jigsaw, or /tmp/jigsaw-<uid>
};

// The defaults for the user who runs this, with `root` and `run_root` in their place where they are not "".
// Relative paths are made absolute, and two equal ones are told apart. Makes nothing.
Paths paths(const std::string& root = {}, const std::string& run_root = {});

// Run by another user than root: containers then need a user namespace and id maps.
bool is_rootless();

}  // namespace jigsaw::engine
