// gzip by zlib, which has a static archive: for the static program, which now and then meets a packed layer.
#include <zlib.h>

#include <vector>

#include "base/error.h"
#include "image/gunzip.h"

namespace jigsaw::image {
namespace {

constexpr int kGzipWindow = 15 + 16;  // 32 KiB, with the gzip wrapper alone

class PortableGunzip : public StreamDecoder {
 public:
  PortableGunzip() : output_(kDecodedPiece) {
    if (::inflateInit2(&stream_, kGzipWindow) != Z_OK) {
      throw Error("zlib can't be set up");
    }
  }
  ~PortableGunzip() override { ::inflateEnd(&stream_); }
  PortableGunzip(const PortableGunzip&) = delete;
  PortableGunzip& operator=(const PortableGunzip&) = delete;

  void write(std::string_view bytes, const Sink& sink) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    bool full = false;
    while (stream_.avail_in > 0 || full) {
      if (ended_) {  // another member follows
        check_result(::inflateReset(&stream_));
        ended_ = false;
      }
      stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
      stream_.avail_out = static_cast<uInt>(output_.size());
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      if (result != Z_BUF_ERROR) {
        check_result(result);
      }
      if (const size_t made = output_.size() - stream_.avail_out; made > 0) {
        sink({output_.data(), made});
      }
      ended_ = result == Z_STREAM_END;
      full = !ended_ && stream_.avail_out == 0;
    }
  }

  void finish() override {
    if (!ended_) {
      throw Error("gzip data ends too early");
    }
  }

 private:
  void check_result(int result) const {
    if (result != Z_OK && result != Z_STREAM_END) {
      throw fail("damaged gzip data ({})", stream_.msg != nullptr ? stream_.msg : "invalid");
    }
  }

  z_stream stream_{};
  std::vector<char> output_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<StreamDecoder> portable_gunzip() { return std::make_unique<PortableGunzip>(); }

}  // namespace jigsaw::image
