// Tar, written: POSIX ustar headers, with PAX records where a field does not fit (long names, big numbers, extended
// attributes). The same entries give the same bytes, on any machine and on any day.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "image/decompress.h"
#include "image/tar_reader.h"

namespace jigsaw::image {

class TarWriter {
 public:
  // What is written goes to `sink`, in pieces.
  explicit TarWriter(ByteSink sink) : sink_(std::move(sink)) {}

  // Starts an entry; for a file, `entry.size` bytes of data() follow. Times are cut to whole seconds.
  void begin(const TarEntry& entry);
  void data(std::string_view bytes);
  // The two blocks of zeros at the end. Throws if an entry is not complete.
  void finish();

 private:
  void write_header(const TarEntry& entry, char typeflag, std::string_view name, uint64_t size);
  void pad(uint64_t written);

  ByteSink sink_;
  uint64_t left_ = 0;  // bytes of data still to come
  uint64_t size_ = 0;
};

}  // namespace jigsaw::image
