#include "image/inflate.h"

#include <zstd.h>

#include <vector>

#include "base/error.h"

namespace jigsaw::image {
namespace {

constexpr size_t kOutput = 256U << 10;
constexpr int kZstdWindowLog = 27;  // 128 MiB, as the zstd command; taken only if a frame asks for it
constexpr std::string_view kGzipMagic("\x1f\x8b", 2);
constexpr std::string_view kZstdMagic("\x28\xb5\x2f\xfd", 4);
constexpr std::string_view kXzMagic("\xfd" "7zXZ", 5);
constexpr std::string_view kBzip2Magic("BZh", 3);
constexpr size_t kLongestMagic = 5;

bool is_skippable_frame(std::string_view bytes) {
  return bytes.size() >= 4 && (static_cast<unsigned char>(bytes[0]) & 0xf0U) == 0x50 && bytes.substr(1, 3) == "\x2a\x4d\x18";
}

class Plain : public StreamDecoder {
 public:
  void write(std::string_view bytes, const Sink& sink) override { sink(bytes); }
  void finish() override {}
};

class Zstd : public StreamDecoder {
 public:
  Zstd() : context_(ZSTD_createDCtx(), ZSTD_freeDCtx), output_(kOutput) {
    if (!context_) {
      throw Error("libzstd can't be set up");
    }
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLog);
  }

  void write(std::string_view bytes, const Sink& sink) override {
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    bool full = false;
    while (input.pos < input.size || full) {
      ZSTD_outBuffer output{output_.data(), output_.size(), 0};
      left_ = ZSTD_decompressStream(context_.get(), &output, &input);
      if (ZSTD_isError(left_) != 0) {
        throw fail("damaged zstd data ({})", ZSTD_getErrorName(left_));
      }
      if (output.pos > 0) {
        sink({output_.data(), output.pos});
      }
      full = output.pos == output.size && left_ != 0;
    }
  }

  void finish() override {
    if (left_ != 0) {
      throw Error("zstd data ends too early");
    }
  }

 private:
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context_;
  std::vector<char> output_;
  size_t left_ = 1;  // 0 at the end of a frame
};

}  // namespace

Inflater::Inflater(GunzipMaker gunzip, Sink sink) : gunzip_(gunzip), sink_(std::move(sink)) {}
Inflater::~Inflater() = default;

void Inflater::choose() {
  if (first_.starts_with(kGzipMagic)) {
    decoder_ = gunzip_();
  } else if (first_.starts_with(kZstdMagic) || is_skippable_frame(first_)) {
    decoder_ = std::make_unique<Zstd>();
  } else if (first_.starts_with(kXzMagic) || first_.starts_with(kBzip2Magic)) {
    throw fail("a layer compressed with {}, which the image specification does not know",
               first_.starts_with(kXzMagic) ? "xz" : "bzip2");
  } else {
    decoder_ = std::make_unique<Plain>();
  }
  const std::string first = std::move(first_);
  decoder_->write(first, sink_);
}

void Inflater::write(std::string_view bytes) {
  if (decoder_) {
    decoder_->write(bytes, sink_);
    return;
  }
  first_ += bytes;
  if (first_.size() >= kLongestMagic) {
    choose();
  }
}

void Inflater::finish() {
  if (!decoder_) {
    if (first_.empty()) {
      throw Error("an empty layer blob, not even an empty archive");
    }
    choose();
  }
  decoder_->finish();
}

}  // namespace jigsaw::image
