#include "image/packer.h"

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <zstd.h>

#include <vector>

#include "base/error.h"

namespace jigsaw::image {
namespace {

constexpr size_t kSample = 32U << 10;  // bytes by which a piece is judged, twice
constexpr int kZstdLevel = 3;
constexpr size_t kGzipPiece = 1U << 20;  // more than its window of 32 KiB makes up for
constexpr size_t kZstdPiece = 4U << 20;  // its window is 2 MiB: of 1 MiB the pieces would be a twentieth larger

// ISA-L's compressor with the room that it wants.
class QuickPacker {
 public:
  // What it made of `plain`; 0 if it does not fit.
  size_t pack(std::span<const char> plain, std::span<char> packed) {
    isal_deflate_init(&stream_);
    stream_.level = 2;
    stream_.level_buf = room_.data();
    stream_.level_buf_size = static_cast<uint32_t>(room_.size());
    stream_.gzip_flag = IGZIP_GZIP;
    stream_.end_of_stream = 1;
    stream_.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(plain.data()));
    stream_.avail_in = static_cast<uint32_t>(plain.size());
    stream_.next_out = reinterpret_cast<uint8_t*>(packed.data());
    stream_.avail_out = static_cast<uint32_t>(packed.size());
    const bool whole = isal_deflate(&stream_) == COMP_OK && stream_.internal_state.state == ZSTATE_END;
    return whole ? packed.size() - stream_.avail_out : 0;
  }

 private:
  isal_zstream stream_{};  // 50 KiB
  // A block ends, and a new code begins, when this is full: with the usual room the result is a hundredth larger.
  std::vector<uint8_t> room_ = std::vector<uint8_t>(ISAL_DEF_LVL2_SMALL);
};

// Each step up costs about 0.2 s of a processor for a megabyte less, whatever the piece. So many pieces take it that all
// together get as small as what podman makes of them; `jigsaw push` is measured against that (tests/bench/images.py).
class GzipPacker : public Packer {
 public:
  size_t bound(size_t length) const override { return libdeflate_gzip_compress_bound(nullptr, length); }
  size_t pack(std::span<const char> plain, std::span<char> packed) override {
    const size_t percent = judge(plain, packed);
    const size_t quick = percent >= kHard ? quick_->pack(plain, packed) : 0;
    return quick > 0 ? quick : (percent >= kText ? binary_ : text_).pack(plain, packed);
  }

 private:
  static constexpr size_t kHard = 51;  // percent
  static constexpr size_t kText = 30;

  class Thorough {
   public:
    explicit Thorough(int level) : state_(libdeflate_alloc_compressor(level), libdeflate_free_compressor) {
      if (!state_) {
        throw Error("libdeflate can't be set up");
      }
    }
    size_t pack(std::span<const char> plain, std::span<char> packed) {
      return libdeflate_gzip_compress(state_.get(), plain.data(), plain.size(), packed.data(), packed.size());
    }

   private:
    std::unique_ptr<libdeflate_compressor, void (*)(libdeflate_compressor*)> state_;
  };

  size_t judge(std::span<const char> plain, std::span<char> scratch) {
    if (plain.size() < 8 * kSample) {
      return 0;
    }
    const size_t made = quick_->pack(plain.subspan(plain.size() / 4, kSample), scratch) +
                        quick_->pack(plain.subspan(plain.size() / 4 * 3, kSample), scratch);
    return made * 100 / (2 * kSample);
  }

  std::unique_ptr<QuickPacker> quick_ = std::make_unique<QuickPacker>();
  Thorough binary_{2};
  Thorough text_{4};
};

class ZstdPacker : public Packer {
 public:
  ZstdPacker() : context_(ZSTD_createCCtx(), ZSTD_freeCCtx) {
    if (!context_) {
      throw Error("libzstd can't be set up");
    }
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, kZstdLevel);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }
  size_t bound(size_t length) const override { return ZSTD_compressBound(length); }
  size_t pack(std::span<const char> plain, std::span<char> packed) override {
    const size_t made = ZSTD_compress2(context_.get(), packed.data(), packed.size(), plain.data(), plain.size());
    if (ZSTD_isError(made) != 0) {
      throw fail("libzstd can't compress: {}", ZSTD_getErrorName(made));
    }
    return made;
  }

 private:
  std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context_;
};

}  // namespace

size_t piece_size(Compression kind) { return kind == Compression::kGzip ? kGzipPiece : kZstdPiece; }

std::unique_ptr<Packer> make_packer(Compression kind) {
  return kind == Compression::kGzip ? std::unique_ptr<Packer>(new GzipPacker) : std::unique_ptr<Packer>(new ZstdPacker);
}

}  // namespace jigsaw::image
