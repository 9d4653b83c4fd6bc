// Import: a root file system in one archive becomes an image of one layer.
#pragma once

#include <string>
#include <vector>

#include "image/store.h"

namespace jigsaw::image {

struct ImportOptions {
  std::string name;     // a full reference, or "" for an image without a name
  std::string message;  // what its history says
  std::string created;  // RFC 3339
  std::vector<std::string> changes{};  // "CMD [\"/bin/sh\"]", "ENV A=b": the settings of a Dockerfile
};

// `file` is a tar archive, compressed by gzip, bzip2, xz, zstd or not at all; "-" is standard input. The layer is
// unpacked at once, so a broken archive is refused before the image exists.
Image import_archive(const Store& store, const std::string& file, const ImportOptions& options);

}  // namespace jigsaw::image
