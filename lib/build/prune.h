// What `jigsaw system prune --build` takes away: the steps of the build cache, which hold their
// layers in the store, and the directories of RUN --mount=type=cache.
#pragma once

#include <string>

#include "image/store.h"

namespace jigsaw::build {

// Lets go of every step; Store::collect() then removes the layers that nothing else needs. A cache directory that a build
// uses stays. Gives the number of steps.
size_t prune_cache(const image::Store& store, const std::string& root);

}  // namespace jigsaw::build
