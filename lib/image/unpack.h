// Unpacking an image's root file system into a plain directory, layer by layer, bottom first.
//
// Every blob is verified twice, before and after decompression, like in the store; but nothing is kept.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "image/layer_apply.h"
#include "image/store.h"

namespace jigsaw::image {

// Opens a blob for reading from its start.
using BlobOpener = std::function<Fd(const Descriptor&)>;

struct UnpackOptions {
  Privilege privilege = own_privilege();
  std::function<void(const Descriptor&)> on_layer{};  // before each one
};
// `directory` is made if it is missing, and must be empty.
void unpack_image(const Image& image, const BlobOpener& open, const std::string& directory, const UnpackOptions& options);

// An OCI layout directory that is not our store: "oci:DIR:TAG".
struct LayoutImage {
  Image image;
  BlobOpener open;
};
// `tag` is a name as index.json has it, its last part ("v1" of "registry/name:v1") if only one has that, or "@sha256:…";
// without one it is the layout's only image, or "latest".
LayoutImage open_layout(const std::string& directory, std::string_view tag, const Platform& platform = host_platform());

}  // namespace jigsaw::image
