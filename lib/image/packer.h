// Packer: one piece of a layer becomes a whole gzip member or zstd frame. Each thread has one of its own.
//
// How hard gzip tries depends on the piece: archives, pictures and many binaries hardly get smaller by any effort, text by
// much. A sample tells which it is. RFC 1952, RFC 8878.
#pragma once

#include <memory>
#include <span>

#include "image/manifest.h"

namespace jigsaw::image {

class Packer {
 public:
  virtual ~Packer() = default;
  // Room that the packed form of `length` bytes takes at most.
  virtual size_t bound(size_t length) const = 0;
  // Returns the size of what it wrote into `packed`, which has room for bound(plain.size()).
  virtual size_t pack(std::span<const char> plain, std::span<char> packed) = 0;
};

// Bytes of a piece: enough that it counts little that none can refer to the one before it. kGzip or kZstd.
size_t piece_size(Compression kind);
// kGzip or kZstd.
std::unique_ptr<Packer> make_packer(Compression kind);

}  // namespace jigsaw::image
