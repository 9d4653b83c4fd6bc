// Stack: layers as a teaching step keeps them, one directory for each below a common one, bottom first by name.
//
//   LAYERS/1-busybox  LAYERS/2-system  LAYERS/3-jigsaw          read only, shared by all who run on them
//   CHANGES/upper     CHANGES/work                              one container's own
#pragma once

#include <string>
#include <vector>

#include "unionfs/overlay.h"

namespace jigsaw::unionfs {

// The directories below `layers`, the top one first, as Overlay takes them. Throws if there are none.
std::vector<std::string> layers_in(const std::string& layers);

// The absolute path of a directory that changes are to be kept in. Throws if it lies among `layers` ("" if they are no
// directory of ours), where it would become a layer itself, if it is no directory, or if its `work`, which a run empties and removes, holds files.
std::string kept_changes(const std::string& changes, const std::string& layers = "");

// The overlay of `layers` and `changes`, whose upper and work directories are made if needed; the upper gets the owner
// and mode of the top layer, since it becomes the root directory of the whole.
Overlay stack(const std::string& layers, const std::string& changes);
// The same for lowers that are known, the top one first.
Overlay stack(std::vector<std::string> lowers, const std::string& changes);

}  // namespace jigsaw::unionfs
