// Compressor: plain bytes in, compressed bytes out, a piece at a time: what push does with layers that were built here,
// which the store keeps as plain tar.
//
// The same input gives the same output on every machine (no time stamp, no name, no thread count in it), so that pushing
// twice finds the blob there. gzip is ISA-L's level 2, several times as fast as zlib's level 6 for a few percent more
// bytes; zstd is libzstd's level 3, as fast and smaller, for readers of this decade.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "image/manifest.h"

namespace jigsaw::image {

class Compressor {
 public:
  using Read = std::function<size_t(std::span<char>)>;  // 0 at the end
  Compressor(Compression kind, Read source);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // Fills `space` as far as there is something; 0 at the end.
  size_t read(std::span<char> space);

  class Encoder;  // one kind of compression; in compress.cpp

 private:
  std::unique_ptr<Encoder> encoder_;
};

}  // namespace jigsaw::image
