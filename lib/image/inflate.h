// Inflater: compressed bytes in, as they arrive; plain bytes out.
//
// Which compression it is shows in the first bytes, not in what the media type claims: registries hold layers with wrong
// types. gzip goes through ISA-L (several members one after the other are one stream, as pigz and estargz write them),
// zstd through libzstd (several frames likewise), and anything else is taken for a plain tar. Checksums of both are
// verified; a stream that ends early, or goes on with something else, is refused. Memory: one output buffer and the
// decoder's window, at most 8 MiB for zstd. RFC 1952, RFC 8878.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace jigsaw::image {

class Inflater {
 public:
  using Sink = std::function<void(std::string_view plain)>;
  explicit Inflater(Sink sink);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // The next bytes; `sink` gets what they unpack to before this returns. Throws on damaged input.
  void write(std::string_view bytes);
  // There are no more; throws if some are missing.
  void finish();

  class Decoder;  // one kind of compression; in inflate.cpp

 private:
  void choose();
  Sink sink_;
  std::string first_;  // until the kind is known
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace jigsaw::image
