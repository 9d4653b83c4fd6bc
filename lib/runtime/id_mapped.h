// Id-mapped mounts: the owners of files are shown shifted by the map of a user namespace (mount_setattr(2)). The kernel
// wants the namespace as a descriptor; nobody needs to live in it.
#pragma once

#include <vector>

#include "base/fd.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {

// One descriptor for each mount of the spec, empty for those without a map.
std::vector<Fd> make_mount_maps(const Spec& spec);

// Where the container gets a user namespace: its bind mounts, made by us before we have left ours, one descriptor for each
// mount of the spec, empty for the others. Inside, the way to a source may be closed (a directory that only the host's root
// may search), and an id-mapped mount is not allowed. Without the privilege to make them all are empty.
std::vector<Fd> make_outer_mounts(const Spec& spec, const std::string& bundle, const std::vector<Fd>& maps);
// The source of a bind mount is relative to the bundle.
std::string mount_source(const MountPoint& mount, const std::string& bundle);

}  // namespace jigsaw::runtime
