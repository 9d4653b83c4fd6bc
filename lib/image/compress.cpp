#include "image/compress.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <vector>

#include "base/error.h"

namespace jigsaw::image {
namespace {

constexpr size_t kInput = 256U << 10;
constexpr int kZstdLevel = 3;

}  // namespace

class Compressor::Encoder {
 public:
  explicit Encoder(Read source) : source_(std::move(source)), input_(kInput) {}
  virtual ~Encoder() = default;
  virtual size_t read(std::span<char> space) = 0;

 protected:
  std::span<char> next_input() {
    const size_t length = source_(input_);
    ended_ = length == 0;
    return std::span(input_).first(length);
  }
  Read source_;
  std::vector<char> input_;
  bool ended_ = false;
};

namespace {

class Plain : public Compressor::Encoder {
 public:
  using Encoder::Encoder;
  size_t read(std::span<char> space) override { return source_(space); }
};

class Gzip : public Compressor::Encoder {
 public:
  explicit Gzip(Compressor::Read source) : Encoder(std::move(source)), level_buffer_(ISAL_DEF_LVL2_DEFAULT) {
    isal_deflate_init(stream_.get());
    stream_->gzip_flag = IGZIP_GZIP;
    stream_->level = 2;
    stream_->level_buf = level_buffer_.data();
    stream_->level_buf_size = static_cast<uint32_t>(level_buffer_.size());
  }

  size_t read(std::span<char> space) override {
    stream_->next_out = reinterpret_cast<uint8_t*>(space.data());
    stream_->avail_out = static_cast<uint32_t>(space.size());
    while (stream_->avail_out > 0 && stream_->internal_state.state != ZSTATE_END) {
      if (stream_->avail_in == 0 && !ended_) {
        const auto input = next_input();
        stream_->next_in = reinterpret_cast<uint8_t*>(input.data());
        stream_->avail_in = static_cast<uint32_t>(input.size());
        stream_->end_of_stream = ended_ ? 1 : 0;
      }
      if (isal_deflate(stream_.get()) != COMP_OK) {
        throw Error("ISA-L can't compress");
      }
    }
    return space.size() - stream_->avail_out;
  }

 private:
  std::unique_ptr<isal_zstream> stream_ = std::make_unique<isal_zstream>();
  std::vector<uint8_t> level_buffer_;
};

class Zstd : public Compressor::Encoder {
 public:
  explicit Zstd(Compressor::Read source) : Encoder(std::move(source)), context_(ZSTD_createCCtx(), ZSTD_freeCCtx) {
    if (!context_) {
      throw Error("libzstd can't be set up");
    }
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, kZstdLevel);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }

  size_t read(std::span<char> space) override {
    ZSTD_outBuffer output{space.data(), space.size(), 0};
    while (output.pos < output.size && !finished_) {
      if (pending_.pos == pending_.size && !ended_) {
        const auto input = next_input();
        pending_ = {input.data(), input.size(), 0};
      }
      const size_t left = ZSTD_compressStream2(context_.get(), &output, &pending_, ended_ ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(left) != 0) {
        throw fail("libzstd can't compress: {}", ZSTD_getErrorName(left));
      }
      finished_ = ended_ && left == 0;
    }
    return output.pos;
  }

 private:
  std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context_;
  ZSTD_inBuffer pending_{nullptr, 0, 0};
  bool finished_ = false;
};

std::unique_ptr<Compressor::Encoder> make_encoder(Compression kind, Compressor::Read source) {
  switch (kind) {
    case Compression::kGzip: return std::make_unique<Gzip>(std::move(source));
    case Compression::kZstd: return std::make_unique<Zstd>(std::move(source));
    case Compression::kNone: break;
  }
  return std::make_unique<Plain>(std::move(source));
}

}  // namespace

Compressor::Compressor(Compression kind, Read source) : encoder_(make_encoder(kind, std::move(source))) {}
Compressor::~Compressor() = default;

size_t Compressor::read(std::span<char> space) { return encoder_->read(space); }

}  // namespace jigsaw::image
