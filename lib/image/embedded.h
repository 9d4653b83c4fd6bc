// jigsaw/base as an OCI image: made from the tables of rootfs/base_tree.h, the same bytes every time, in three layers
// (busybox, system, jigsaw), so that everything works offline from the first command on.
#pragma once

#include <string_view>

#include "image/store.h"

namespace jigsaw::image {

inline constexpr std::string_view kEmbeddedName = "docker.io/jigsaw/base:latest";

// Puts the image into the store and gives it its name. Returns its manifest.
Descriptor add_embedded(const Store& store);

}  // namespace jigsaw::image
