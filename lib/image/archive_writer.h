// ArchiveWriter: a tar file of members with known or found sizes, for `save`. Times are zero and owners root: the same
// images give the same archive. The file appears under its name when it is whole.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace jigsaw::image {

class ArchiveWriter {
 public:
  // `path` "-": standard output, fed from an unnamed file below `temporary_directory` in the end.
  ArchiveWriter(std::string path, const std::string& temporary_directory);
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  void add(const std::string& member, std::string_view text);
  // Writes what `write` gives to its argument; the size is filled in afterwards.
  using Put = std::function<void(std::string_view)>;
  void add(const std::string& member, const std::function<void(const Put&)>& write);
  void add_directory(const std::string& member);
  // The end mark, and the name.
  void finish();

 private:
  void header(const std::string& member, char type, uint64_t size, uint64_t offset);
  void append(std::string_view bytes);
  std::string path_;
  Fd stream_;              // standard output, a pipe, a device
  std::string temporary_;  // beside path_, until finish()
  Fd file_;
  uint64_t at_ = 0;
};

}  // namespace jigsaw::image
