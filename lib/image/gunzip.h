// Decoders of one compression, fed as bytes arrive; and gzip's two of them.
//
// Several members one after the other are one stream, as pigz and estargz write them. The checksum of each is verified;
// what is no member behind one is refused, zeros too, as Go's reader does, which most tools use. RFC 1952.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

namespace jigsaw::image {

// Bytes that a decoder hands on at once.
inline constexpr size_t kDecodedPiece = 256U << 10;

class StreamDecoder {
 public:
  using Sink = std::function<void(std::string_view plain)>;
  virtual ~StreamDecoder() = default;
  // The next bytes; `sink` gets what they unpack to before this returns. Throws on damaged input.
  virtual void write(std::string_view bytes, const Sink& sink) = 0;
  // There are no more; throws if some are missing.
  virtual void finish() = 0;
};

using GunzipMaker = std::unique_ptr<StreamDecoder> (*)();
std::unique_ptr<StreamDecoder> fast_gunzip();      // ISA-L: dynamically linked programs alone
std::unique_ptr<StreamDecoder> portable_gunzip();  // zlib

}  // namespace jigsaw::image
