// Decompression of files that are already here: layers in the store, archives for ADD and `import`.
//
// libarchive recognises gzip, bzip2, xz and zstd by their first bytes; what a media type or a file name says does not
// count. (A pull has its own, faster way: see pull.h.)
#pragma once

#include <functional>
#include <string_view>

namespace jigsaw::image {

using ByteSink = std::function<void(std::string_view)>;

// Hands the content of `fd`, from its present position, to `sink`, in pieces. Throws if it is cut off or damaged.
void read_decompressed(int fd, std::string_view name, const ByteSink& sink);

// The same for the blob of a layer, as strictly as a pull reads it: gzip, zstd or plain, whole and with nothing behind.
void read_layer(int fd, std::string_view name, const ByteSink& sink);

}  // namespace jigsaw::image
