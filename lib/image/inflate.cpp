#include "image/inflate.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <vector>

#include "base/error.h"

namespace jigsaw::image {
namespace {

constexpr size_t kOutput = 256U << 10;
constexpr int kZstdWindowLog = 23;  // 8 MiB, what the zstd format asks every decoder to support
constexpr std::string_view kGzipMagic("\x1f\x8b", 2);
constexpr std::string_view kZstdMagic("\x28\xb5\x2f\xfd", 4);
constexpr std::string_view kXzMagic("\xfd" "7zXZ", 5);
constexpr std::string_view kBzip2Magic("BZh", 3);
constexpr size_t kLongestMagic = 5;

bool is_skippable_frame(std::string_view bytes) {
  return bytes.size() >= 4 && (static_cast<unsigned char>(bytes[0]) & 0xf0U) == 0x50 && bytes.substr(1, 3) == "\x2a\x4d\x18";
}

}  // namespace

class Inflater::Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void write(std::string_view bytes, const Sink& sink) = 0;
  virtual void finish() = 0;
};

namespace {

class Plain : public Inflater::Decoder {
 public:
  void write(std::string_view bytes, const Inflater::Sink& sink) override { sink(bytes); }
  void finish() override {}
};

class Gzip : public Inflater::Decoder {
 public:
  Gzip() : output_(kOutput) { begin_member(); }

  void write(std::string_view bytes, const Inflater::Sink& sink) override {
    state_->next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data()));
    state_->avail_in = static_cast<uint32_t>(bytes.size());
    while (state_->avail_in > 0 || more_output_) {
      if (state_->block_state == ISAL_BLOCK_FINISH) {
        if (state_->avail_in == 0) {
          return;
        }
        begin_member();
      }
      state_->next_out = output_.data();
      state_->avail_out = static_cast<uint32_t>(output_.size());
      const uint32_t before = state_->avail_in;
      const int result = isal_inflate(state_.get());
      if (result < 0) {
        throw fail("damaged gzip data ({})", reason(result));
      }
      const size_t made = output_.size() - state_->avail_out;
      if (made > 0) {
        sink({reinterpret_cast<char*>(output_.data()), made});
      }
      more_output_ = state_->avail_out == 0 && state_->block_state != ISAL_BLOCK_FINISH;
      if (made == 0 && before == state_->avail_in && state_->block_state != ISAL_BLOCK_FINISH) {
        break;
      }
    }
  }

  void finish() override {
    if (state_->block_state != ISAL_BLOCK_FINISH) {
      throw Error("gzip data ends too early");
    }
  }

 private:
  static std::string_view reason(int result) {
    switch (result) {
      case ISAL_INVALID_WRAPPER: return "no gzip header";
      case ISAL_UNSUPPORTED_METHOD: return "unknown method";
      case ISAL_INCORRECT_CHECKSUM: return "wrong checksum";
      default: return "invalid block";
    }
  }

  // Keeps the input, forgets everything else.
  void begin_member() {
    uint8_t* const next = state_->next_in;
    const uint32_t left = state_->avail_in;
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;
    state_->next_in = next;
    state_->avail_in = left;
    more_output_ = false;
  }

  std::unique_ptr<inflate_state> state_ = std::make_unique<inflate_state>();
  std::vector<uint8_t> output_;
  bool more_output_ = false;
};

class Zstd : public Inflater::Decoder {
 public:
  Zstd() : context_(ZSTD_createDCtx(), ZSTD_freeDCtx), output_(kOutput) {
    if (!context_) {
      throw Error("libzstd can't be set up");
    }
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLog);
  }

  void write(std::string_view bytes, const Inflater::Sink& sink) override {
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

Inflater::Inflater(Sink sink) : sink_(std::move(sink)) {}
Inflater::~Inflater() = default;

void Inflater::choose() {
  if (first_.starts_with(kGzipMagic)) {
    decoder_ = std::make_unique<Gzip>();
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
