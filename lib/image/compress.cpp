#include "image/compress.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "image/packer.h"

namespace jigsaw::image {
namespace {

constexpr size_t kPiecesAtOnce = 4U << 20;  // bytes in the pieces of all further threads, so that memory stays below 64 MiB
constexpr unsigned kMostThreads = 4;

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
  bool take(size_t piece) {
    const std::lock_guard guard(mutex_);
    const auto most = std::min(kMostThreads, static_cast<unsigned>(kPiecesAtOnce / piece));
    if (used_ >= std::clamp(std::thread::hardware_concurrency(), 1U, most)) {
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
  Packing(Compression kind, Compressor::Read source) : kind_(kind), source_(std::move(source)), size_(piece_size(kind)) {
    start_thread();
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

  // One for each thread, and one to be read or sent meanwhile; of large ones the other layers' do for that.
  size_t most_pieces() const { return threads_.size() + (size_ * 4 <= kPiecesAtOnce ? 1 : 0); }

  // Reads the source's next pieces, as many as may wait. A source without bytes makes one empty piece.
  void fill() {
    while (!ended_ && pieces_.size() < most_pieces()) {
      std::unique_ptr<Piece> piece = free_piece();
      piece->input.make(size_);
      for (size_t got = 1; got > 0 && piece->length < size_; piece->length += got) {
        got = source_(std::span(piece->input.bytes.get(), size_).subspan(piece->length));
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
      if (pieces_.size() == most_pieces() && budget().take(size_)) {
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
        piece.output.make(packer->bound(size_));
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
  size_t size_;  // of a piece
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
