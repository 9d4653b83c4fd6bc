// Without root: the whole command runs in a user namespace of its own.
#pragma once

#include <functional>

namespace jigsaw::commands {

// Runs the body of a command. For root that is all. Another user gets a user namespace first, in which he is root and
// the ids that /etc/subuid gives him are users 1, 2, …: layers can then keep their owners, overlays can be mounted and
// containers made, with no right on the host that he did not have. Returns the body's exit code.
int as_root_of_a_namespace(const std::function<int()>& body);

}  // namespace jigsaw::commands
