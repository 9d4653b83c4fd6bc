// Compressor: plain bytes in, compressed bytes out, a piece at a time: what push does with layers that were built here,
// which the store keeps as plain tar.
//
// The same input gives the same output on machines of one kind (no time stamp, no name, no thread count in it), so that
// pushing twice finds the blob there. The input is cut into pieces that threads compress side by side, each a gzip member or zstd
// frame of its own; one after the other they are one stream to every reader (RFC 1952, 2.2; RFC 8878, 3.1).
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
