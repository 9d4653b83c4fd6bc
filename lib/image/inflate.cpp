#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_getFrameHeader
#include "image/inflate.h"

#include <zstd.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "image/tar_fields.h"

namespace jigsaw::image {
namespace {

constexpr int kZstdWindowLog = 27;  // 128 MiB, as the zstd command; taken only if a frame asks for it
constexpr uint64_t kWindowRoom = 16U << 20;  // of all streams of this process
constexpr std::string_view kXzMagic("\xfd" "7zXZ", 5);
constexpr std::string_view kBzip2Magic("BZh", 3);

bool is_skippable_frame(std::string_view bytes) {
  return bytes.size() >= 4 && (static_cast<unsigned char>(bytes[0]) & 0xf0U) == 0x50 && bytes.substr(1, 3) == "\x2a\x4d\x18";
}

// A plain archive begins with a name, and that may begin like anything.
bool is_tar_header(std::string_view bytes) {
  TarHeaderBlock header{};
  if (bytes.size() < sizeof header) {
    return false;
  }
  bytes.copy(reinterpret_cast<char*>(&header), sizeof header);
  return header.name[0] != '\0' && tar_checksum_fits(header);
}

class Plain : public StreamDecoder {
 public:
  void write(std::string_view bytes, const Sink& sink) override { sink(bytes); }
  void finish() override {}
};

// The windows of all streams that are being unpacked: two of `zstd -19`, eight of `zstd -3`. A larger one waits until it is
// alone. Whoever has room goes on without waiting for anybody.
class WindowRoom {
 public:
  void take(uint64_t bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return used_ == 0 || used_ + bytes <= kWindowRoom; });
    used_ += bytes;
  }
  void give_back(uint64_t bytes) {
    const std::lock_guard guard(mutex_);
    used_ -= bytes;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t used_ = 0;
};

WindowRoom& window_room() {
  static WindowRoom shared;
  return shared;
}

class Zstd : public StreamDecoder {
 public:
  Zstd() : output_(kDecodedPiece) { renew(); }
  ~Zstd() override { window_room().give_back(window_); }
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;

  void write(std::string_view bytes, const Sink& sink) override {
    if (!start_.empty()) {
      start_ += bytes;
      const std::string joined = std::exchange(start_, {});
      return unpack(joined, sink);
    }
    unpack(bytes, sink);
  }

  void finish() override {
    if (left_ != 0 || !start_.empty()) {
      throw Error("zstd data ends too early");
    }
  }

 private:
  void unpack(std::string_view bytes, const Sink& sink) {
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    bool full = false;
    while (input.pos < input.size || full) {
      if (!within_) {
        if (!begin_frame(bytes.substr(input.pos))) {
          start_ = bytes.substr(input.pos);
          return;
        }
        within_ = true;
      }
      ZSTD_outBuffer output{output_.data(), output_.size(), 0};
      left_ = ZSTD_decompressStream(context_.get(), &output, &input);
      if (ZSTD_isError(left_) != 0) {
        throw fail("damaged zstd data ({})", ZSTD_getErrorName(left_));
      }
      if (output.pos > 0) {
        sink({output_.data(), output.pos});
      }
      full = output.pos == output.size && left_ != 0;
      within_ = left_ != 0;
    }
  }

  // Takes the room that the frame wants; false if its header is not whole yet.
  bool begin_frame(std::string_view bytes) {
    ZSTD_frameHeader header{};
    const size_t wanted = ZSTD_getFrameHeader(&header, bytes.data(), bytes.size());
    if (ZSTD_isError(wanted) != 0) {
      return true;  // the decoder says what is wrong
    }
    if (wanted > 0) {
      return false;
    }
    const uint64_t window = header.frameType == ZSTD_skippableFrame ? 0 : header.windowSize;
    if (window > 1ULL << kZstdWindowLog) {
      throw Error(fmt::format("zstd data that refers back over {}; at most {} are kept", text::human_size(window),
                              text::human_size(1ULL << kZstdWindowLog)),
                  "pack it with 'zstd --long=27' at most");
    }
    if (window > window_) {
      renew();
      window_room().take(window);
      window_ = window;
    }
    return true;
  }

  // A decoder without a window.
  void renew() {
    context_.reset(ZSTD_createDCtx());
    if (!context_) {
      throw Error("libzstd can't be set up");
    }
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLog);
    window_room().give_back(std::exchange(window_, 0));
  }

  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context_{nullptr, ZSTD_freeDCtx};
  std::vector<char> output_;
  std::string start_;      // of a frame, as long as its header is not whole
  uint64_t window_ = 0;    // the room that we have
  bool within_ = false;    // a frame
  size_t left_ = 1;        // 0 at the end of a frame
};

}  // namespace

Inflater::Inflater(GunzipMaker gunzip, Sink sink) : gunzip_(gunzip), sink_(std::move(sink)) {}
Inflater::~Inflater() = default;

void Inflater::choose() {
  if (is_tar_header(first_)) {
    decoder_ = std::make_unique<Plain>();
  } else if (first_.starts_with(kGzipMagic)) {
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
  if (first_.size() >= sizeof(TarHeaderBlock)) {
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
