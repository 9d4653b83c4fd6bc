#include "image/compress.h"

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <zstd.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"

namespace jigsaw::image {
namespace {

constexpr size_t kPiece = 1U << 20;  // bytes compressed by themselves, as one member or frame
constexpr size_t kSample = 32U << 10;  // bytes by which a piece is judged, twice
constexpr int kZstdLevel = 3;
constexpr unsigned kMostThreads = 4;

// Compresses one piece into a whole gzip member or zstd frame. Each thread has one of its own.
class Packer {
 public:
  virtual ~Packer() = default;
  virtual size_t bound(size_t length) const = 0;
  virtual size_t pack(std::span<const char> plain, std::span<char> packed) = 0;
};

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
  isal_zstream stream_;  // 50 KiB
  std::vector<uint8_t> room_ = std::vector<uint8_t>(ISAL_DEF_LVL2_DEFAULT);
};

// As much effort as pays, by what a sample becomes: archives, pictures and many binaries hardly get smaller by any, text
// by much. Together smaller than zlib's usual level 6 makes all, in a fifth of the time.
class GzipPacker : public Packer {
 public:
  size_t bound(size_t length) const override { return libdeflate_gzip_compress_bound(nullptr, length); }
  size_t pack(std::span<const char> plain, std::span<char> packed) override {
    const size_t percent = judge(plain, packed);
    const size_t quick = percent >= kHard ? quick_->pack(plain, packed) : 0;
    return quick > 0 ? quick : (percent >= kText ? binary_ : text_).pack(plain, packed);
  }

 private:
  static constexpr size_t kHard = 61;  // percent
  static constexpr size_t kText = 35;

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

std::unique_ptr<Packer> make_packer(Compression kind) {
  return kind == Compression::kGzip ? std::unique_ptr<Packer>(new GzipPacker) : std::unique_ptr<Packer>(new ZstdPacker);
}

}  // namespace

class Compressor::Encoder {
 public:
  virtual ~Encoder() = default;
  virtual size_t read(std::span<char> space) = 0;
};

namespace {

class Plain : public Compressor::Encoder {
 public:
  explicit Plain(Compressor::Read source) : source_(std::move(source)) {}
  size_t read(std::span<char> space) override { return source_(space); }

 private:
  Compressor::Read source_;
};

// Threads that compress, of all layers that are on their way at once: as many as there are processors, so that memory
// does not grow with the number of layers. Each layer may have one; the first ones take what else there is.
class Budget {
 public:
  bool take() {
    const std::lock_guard guard(mutex_);
    if (used_ >= std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads)) {
      return false;
    }
    ++used_;
    return true;
  }
  void give_back(size_t count) {
    const std::lock_guard guard(mutex_);
    used_ -= count;
  }

 private:
  std::mutex mutex_;
  size_t used_ = 0;
};

Budget& budget() {
  static Budget shared;
  return shared;
}

// Room whose bytes are written before they are read: what is not needed of it is never touched.
struct Room {
  std::unique_ptr<char[]> bytes;
  size_t size = 0;
  void make(size_t wanted) {
    if (!bytes) {
      bytes = std::make_unique_for_overwrite<char[]>(wanted);
      size = wanted;
    }
  }
};

// Pieces in order: the caller fills them and empties them, threads pack whichever is next.
class Packing : public Compressor::Encoder {
 public:
  Packing(Compression kind, Compressor::Read source) : kind_(kind), source_(std::move(source)) { start_thread(); }
  ~Packing() override {
    {
      const std::lock_guard guard(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
      thread.join();
    }
    budget().give_back(threads_.size() - 1);
  }
  Packing(const Packing&) = delete;
  Packing& operator=(const Packing&) = delete;

  size_t read(std::span<char> space) override {
    fill();
    if (pieces_.empty()) {
      return 0;
    }
    Piece& piece = *pieces_.front();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return piece.packed || error_; });
    if (error_) {
      std::rethrow_exception(error_);
    }
    const size_t length = std::min(space.size(), piece.made - piece.taken);
    std::memcpy(space.data(), piece.output.bytes.get() + piece.taken, length);
    piece.taken += length;
    if (piece.taken == piece.made) {
      idle_.push_back(std::move(pieces_.front()));
      pieces_.pop_front();
    }
    return length;
  }

 private:
  struct Piece {
    Room input;
    Room output;
    size_t length = 0;  // of the input
    size_t made = 0;    // of the output
    size_t taken = 0;
    bool packed = false;
  };

  void start_thread() {
    threads_.emplace_back([this] { work(); });
  }

  std::unique_ptr<Piece> free_piece() {
    if (idle_.empty()) {
      return std::make_unique<Piece>();
    }
    std::unique_ptr<Piece> piece = std::move(idle_.back());
    idle_.pop_back();
    piece->length = piece->made = piece->taken = 0;
    piece->packed = false;
    return piece;
  }

  // Reads the source's next pieces, one more than there are threads. A source without bytes makes one empty piece.
  void fill() {
    while (!ended_ && pieces_.size() <= threads_.size()) {
      std::unique_ptr<Piece> piece = free_piece();
      piece->input.make(kPiece);
      for (size_t got = 1; got > 0 && piece->length < kPiece; piece->length += got) {
        got = source_(std::span(piece->input.bytes.get(), kPiece).subspan(piece->length));
        ended_ = got == 0;
      }
      if (piece->length == 0 && any_) {
        return;
      }
      any_ = true;
      {
        const std::lock_guard guard(mutex_);
        waiting_.push_back(piece.get());
      }
      pieces_.push_back(std::move(piece));
      changed_.notify_all();
      if (pieces_.size() > threads_.size() && budget().take()) {
        start_thread();
      }
    }
  }

  void work() {
    try {
      const std::unique_ptr<Packer> packer = make_packer(kind_);
      std::unique_lock lock(mutex_);
      while (true) {
        changed_.wait(lock, [&] { return stopped_ || !waiting_.empty(); });
        if (stopped_) {
          return;
        }
        Piece& piece = *waiting_.front();
        waiting_.pop_front();
        lock.unlock();
        piece.output.make(packer->bound(kPiece));
        piece.made = packer->pack({piece.input.bytes.get(), piece.length}, {piece.output.bytes.get(), piece.output.size});
        lock.lock();
        piece.packed = true;
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard guard(mutex_);
      error_ = std::current_exception();
      changed_.notify_all();
    }
  }

  Compression kind_;
  Compressor::Read source_;
  bool ended_ = false;
  bool any_ = false;
  std::deque<std::unique_ptr<Piece>> pieces_;  // in order; the first is being read
  std::vector<std::unique_ptr<Piece>> idle_;
  std::mutex mutex_;  // for what follows, and what threads write into pieces
  std::condition_variable changed_;
  std::deque<Piece*> waiting_;  // for a thread
  bool stopped_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

std::unique_ptr<Compressor::Encoder> make_encoder(Compression kind, Compressor::Read source) {
  if (kind == Compression::kNone) {
    return std::make_unique<Plain>(std::move(source));
  }
  return std::make_unique<Packing>(kind, std::move(source));
}

}  // namespace

Compressor::Compressor(Compression kind, Read source) : encoder_(make_encoder(kind, std::move(source))) {}
Compressor::~Compressor() = default;

size_t Compressor::read(std::span<char> space) { return encoder_->read(space); }

}  // namespace jigsaw::image
