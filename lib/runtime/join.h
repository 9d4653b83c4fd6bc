// Joining namespaces that exist, by path. A process between the runtime and the container enters them, so that new ones
// belong to a joined user namespace, a joined pid namespace holds the container and not the runtime's hooks, and the
// runtime itself stays where it is. The mount namespace is left to the container's process: paths mean the host's until
// then.
//
// A pid namespace of others comes last: with CAP_SYS_PTRACE they may look into a process of ours from its birth on, and
// would find the host's root, and descriptors of the host. So the container's process stays outside until it has nothing
// but what the container has, and goes on in a successor that is born inside. Hooks before that are told the pid of the
// first; both count for RLIMIT_NPROC and the limit of pids, for the moment of the change. With a user namespace it can't be
// so, since whoever has entered that may not enter the other any more; there, being not dumpable keeps them out (ptrace(2)).
#pragma once

#include <functional>
#include <vector>

#include "namespaces/enter.h"
#include "rootfs/mounts.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {

// Opens those that the spec names by a path. Throws if one is our own, and the spec sets names or sysctls in it: they
// would be the host's.
std::vector<namespaces::Opened> open_joined(const Spec& spec);
// The pid namespace, if it is to be entered by a successor of the container's process; else nullptr.
const namespaces::Opened* entered_last(const Spec& spec, const std::vector<namespaces::Opened>& joined);
// For SpawnOptions::by_way_of: enters all of them but a mount namespace and the one entered last; nothing if there are none.
std::function<void()> way_into(const Spec& spec, const std::vector<namespaces::Opened>& joined);
// In the container's process: the mount namespace.
void enter_mount_namespace(const std::vector<namespaces::Opened>& joined);
// A procfs that shows another pid namespace: made by a process in it, which has `root` for its own and no descriptors.
Fd make_proc_of(const namespaces::Opened& pid_namespace, const rootfs::Mount& mount, int root);

}  // namespace jigsaw::runtime
