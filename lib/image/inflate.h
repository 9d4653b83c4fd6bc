// Inflater: compressed bytes in, as they arrive; plain bytes out.
//
// Which compression it is shows in the first bytes, not in what the media type claims: registries hold layers with wrong
// types. gzip goes through the decoder that the caller names (gunzip.h), zstd through libzstd (several frames are one
// stream), and anything else is taken for a plain tar, as is what begins with a tar's header. Checksums are verified; a
// stream that ends early, or goes on with something else, is refused. Memory: one output buffer and the decoder's window:
// 32 KiB for gzip; for zstd what its frame asks for (2 MiB from `zstd -3`, 8 MiB from `zstd -19`), together 16 MiB for all
// streams of the process, or one alone that wants more: 128 MiB (`zstd --long`) at most, as the zstd command takes.
// RFC 1952, RFC 8878.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "image/gunzip.h"

namespace jigsaw::image {

// What compressed streams begin with.
inline constexpr std::string_view kGzipMagic("\x1f\x8b", 2);
inline constexpr std::string_view kZstdMagic("\x28\xb5\x2f\xfd", 4);

class Inflater {
 public:
  using Sink = StreamDecoder::Sink;
  Inflater(GunzipMaker gunzip, Sink sink);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // The next bytes; `sink` gets what they unpack to before this returns. Throws on damaged input.
  void write(std::string_view bytes);
  // There are no more; throws if some are missing.
  void finish();

 private:
  void choose();
  GunzipMaker gunzip_;
  Sink sink_;
  std::string first_;  // until the kind is known
  std::unique_ptr<StreamDecoder> decoder_;
};

}  // namespace jigsaw::image
