// Images of the store as people name them: by a reference with parts left out, by an id or by the beginning
// of one.
#pragma once

#include <optional>
#include <string>

#include "image/store.h"

namespace jigsaw::image {

// "alpine" -> "docker.io/library/alpine:latest"; throws what is wrong with the text.
std::string full_name(const std::string& text);
// The other way round; "" stays "", and a name that another program gave stays as it is.
std::string short_name(const std::string& full);

// jigsaw/base, which is part of this program and needs no registry.
bool is_embedded(const std::string& text);

// The name of an image that is here, or could be without a registry, and that `text` may be a slip of.
std::optional<std::string> nearest_name(const Store& store, const std::string& text);
// What `text` stands for, if it is there. jigsaw/base is put into the store when it is first asked for.
std::optional<Tag> find_named(const Store& store, const std::string& text);
// The same; throws "no such image" with the nearest name and `hint` ("" for how to fetch it), or what is wrong with `text`.
Tag named(const Store& store, const std::string& text, const std::string& hint = "");
// The image of a tag that find_named() found for `text`, read and checked. Its name is the full one, or `text` for an image
// without a name.
Image read_tagged(const Store& store, const Tag& tag, const std::string& text);
// named() and read_tagged().
Image named_image(const Store& store, const std::string& text);

}  // namespace jigsaw::image
