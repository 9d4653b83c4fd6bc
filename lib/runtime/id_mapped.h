// Id-mapped mounts: the owners of files are shown shifted by the map of a user namespace (mount_setattr(2)). The kernel
// wants the namespace as a descriptor; nobody needs to live in it.
#pragma once

#include <vector>

#include "base/fd.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {

// One descriptor for each mount of the spec, empty for those without a map.
std::vector<Fd> make_mount_maps(const Spec& spec);

}  // namespace jigsaw::runtime
