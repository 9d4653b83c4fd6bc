// The cgroup trees as a container sees them, at /sys/fs/cgroup: on v2 one mount, on v1 a tmpfs with a mount for each
// hierarchy and links for those with two names. Their root is the container's own cgroup; they are read-only unless
// config.json says otherwise (release_agent, CVE-2022-0492, is a file in them).
#pragma once

#include "cgroups/cgroup.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {

// `cgroup` is the container's; its places say which trees there are.
void mount_cgroup_tree(int root, const MountPoint& mount, const cgroups::Cgroup& cgroup);

}  // namespace jigsaw::runtime
