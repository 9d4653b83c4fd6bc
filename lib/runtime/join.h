// Joining namespaces that exist, by path. A process between the runtime and the container enters them, so that new ones
// belong to a joined user namespace, a joined pid namespace holds the container and not the runtime's hooks, and the
// runtime itself stays where it is. The mount namespace is left to the container's process: paths mean the host's until
// then.
#pragma once

#include <functional>
#include <vector>

#include "namespaces/enter.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {

// Opens those that the spec names by a path. Throws if one is our own, and the spec sets names or sysctls in it: they
// would be the host's.
std::vector<namespaces::Opened> open_joined(const Spec& spec);
// For SpawnOptions::by_way_of: enters all of them but a mount namespace; nothing if there are none.
std::function<void()> way_into(const std::vector<namespaces::Opened>& joined);
// In the container's process: the mount namespace.
void enter_mount_namespace(const std::vector<namespaces::Opened>& joined);

}  // namespace jigsaw::runtime
