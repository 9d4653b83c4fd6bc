// A directory of changes becomes a layer of the store: its tar blob is written while it is hashed, once, and the
// directory itself moves to its place among the unpacked layers.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "build/cache.h"
#include "image/store.h"

namespace jigsaw::build {

// `upper` is on the store's file system, in overlay's form. With `epoch` no time in the blob is later than that.
Layer seal_layer(const image::Store& store, const std::string& upper, const std::vector<image::LayerDirectory>& parents,
                 const std::optional<timespec>& epoch);

// A directory that becomes a place in a container: every user in it may look inside, whatever our umask.
void make_shown_directory(const std::string& path);

}  // namespace jigsaw::build
