#include "image/compress.h"

#include <libdeflate.h>
#include <zstd.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"

namespace jigsaw::image {
namespace {

constexpr size_t kPiece = 2U << 20;  // bytes compressed by themselves, as one member or frame
constexpr int kGzipLevel = 2;        // libdeflate's: as small as zlib's usual level 6, in a fifth of the time
constexpr int kZstdLevel = 3;
constexpr unsigned kMostThreads = 4;

// Compresses one piece into a whole gzip member or zstd frame. Each thread has one of its own.
class Packer {
 public:
  virtual ~Packer() = default;
  virtual size_t bound(size_t length) const = 0;
  virtual size_t pack(std::span<const char> plain, std::span<char> packed) = 0;
};

class GzipPacker : public Packer {
 public:
  GzipPacker() : state_(libdeflate_alloc_compressor(kGzipLevel), libdeflate_free_compressor) {
    if (!state_) {
      throw Error("libdeflate can't be set up");
    }
  }
  size_t bound(size_t length) const override { return libdeflate_gzip_compress_bound(state_.get(), length); }
  size_t pack(std::span<const char> plain, std::span<char> packed) override {
    return libdeflate_gzip_compress(state_.get(), plain.data(), plain.size(), packed.data(), packed.size());
  }

 private:
  std::unique_ptr<libdeflate_compressor, void (*)(libdeflate_compressor*)> state_;
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

// Slots in a ring: the caller fills them in order and empties them in order, threads pack whichever is next.
class Packing : public Compressor::Encoder {
 public:
  Packing(Compression kind, Compressor::Read source) : kind_(kind), source_(std::move(source)) {
    const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads);
    slots_.resize(count + 1);
    for (unsigned i = 0; i < count; ++i) {
      threads_.emplace_back([this] { work(); });
    }
  }
  ~Packing() override {
    {
      const std::lock_guard guard(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  Packing(const Packing&) = delete;
  Packing& operator=(const Packing&) = delete;

  size_t read(std::span<char> space) override {
    fill();
    if (emptied_ == filled_) {
      return 0;
    }
    Slot& slot = slots_[emptied_ % slots_.size()];
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return slot.packed || error_; });
    if (error_) {
      std::rethrow_exception(error_);
    }
    const size_t length = std::min(space.size(), slot.made - slot.taken);
    std::memcpy(space.data(), slot.output.data() + slot.taken, length);
    slot.taken += length;
    emptied_ += slot.taken == slot.made ? 1 : 0;
    return length;
  }

 private:
  struct Slot {
    std::vector<char> input;
    std::vector<char> output;
    size_t length = 0;  // of the input
    size_t made = 0;    // of the output
    size_t taken = 0;
    bool packed = false;
  };

  // Puts the source's next pieces into free slots. A source without bytes makes one empty piece.
  void fill() {
    while (!ended_ && filled_ - emptied_ < slots_.size()) {
      Slot& slot = slots_[filled_ % slots_.size()];
      slot.input.resize(kPiece);
      slot.length = slot.taken = 0;
      for (size_t got = 1; got > 0 && slot.length < kPiece; slot.length += got) {
        got = source_(std::span(slot.input).subspan(slot.length));
        ended_ = got == 0;
      }
      if (slot.length == 0 && filled_ > 0) {
        return;
      }
      {
        const std::lock_guard guard(mutex_);
        slot.packed = false;
        ++filled_;
      }
      changed_.notify_all();
    }
  }

  void work() {
    try {
      const std::unique_ptr<Packer> packer = make_packer(kind_);
      std::unique_lock lock(mutex_);
      while (true) {
        changed_.wait(lock, [&] { return stopped_ || begun_ < filled_; });
        if (stopped_) {
          return;
        }
        Slot& slot = slots_[begun_++ % slots_.size()];
        lock.unlock();
        slot.output.resize(packer->bound(kPiece));
        slot.made = packer->pack(std::span(slot.input).first(slot.length), slot.output);
        lock.lock();
        slot.packed = true;
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
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  size_t filled_ = 0;   // pieces given to the threads
  size_t begun_ = 0;    // pieces that a thread has taken
  size_t emptied_ = 0;  // pieces handed out
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
