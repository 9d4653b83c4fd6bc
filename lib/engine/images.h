// Images as users name them: by reference or by id.
#pragma once

#include <optional>
#include <string>

#include "image/store.h"

namespace jigsaw::engine {

// The image in the store that `text` stands for: "alpine" (docker.io/library/alpine:latest), "alpine:3.19",
// "name@sha256:…", or the beginning of an id. jigsaw/base is put into the store when it is first asked for.
std::optional<image::Tag> find_image(const image::Store& store, const std::string& text);
// The same, read and checked; throws "no such image" with the nearest name.
image::Image get_image(const image::Store& store, const std::string& text);

// jigsaw/base, which is part of this program and needs no registry.
bool is_built_in(const std::string& text);

}  // namespace jigsaw::engine
