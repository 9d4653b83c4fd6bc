#include "image/decompress.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "image/inflate.h"

namespace jigsaw::image {
namespace {

constexpr size_t kPiece = 256U << 10;  // bytes read at once

struct ArchiveFree {
  void operator()(archive* opened) const { archive_read_free(opened); }
};
using Archive = std::unique_ptr<archive, ArchiveFree>;

[[noreturn]] void refuse(archive* opened, std::string_view name) {
  const char* said = archive_error_string(opened);
  throw fail("decompress {}: {}", name, said != nullptr ? text::printable_line(said) : "damaged");
}

// Gives nothing if the stream is empty.
Archive open_stream(int fd, std::string_view name) {
  Archive opened(archive_read_new());
  archive_read_support_filter_gzip(opened.get());
  archive_read_support_filter_bzip2(opened.get());
  archive_read_support_filter_xz(opened.get());
  archive_read_support_filter_zstd(opened.get());
  archive_read_support_format_raw(opened.get());
  archive_read_support_format_empty(opened.get());
  if (archive_read_open_fd(opened.get(), fd, kPiece) != ARCHIVE_OK) {
    refuse(opened.get(), name);
  }
  archive_entry* entry = nullptr;
  const int rc = archive_read_next_header(opened.get(), &entry);
  if (rc == ARCHIVE_EOF) {
    return nullptr;
  }
  if (rc < ARCHIVE_WARN) {
    refuse(opened.get(), name);
  }
  return opened;
}

bool is_compressed(std::string_view start) {
  using namespace std::string_view_literals;
  return start.starts_with("\x1f\x8b"sv) || start.starts_with("BZh"sv) || start.starts_with("\xfd" "7zXZ\0"sv) ||
         start.starts_with("\x28\xb5\x2f\xfd"sv) || (start.size() >= 4 && (start[0] & 0xf0) == 0x50 && start.substr(1, 3) == "\x2a\x4d\x18"sv);
}

}  // namespace

void read_decompressed(int fd, std::string_view name, const ByteSink& sink) {
  std::string buffer(kPiece, '\0');
  const off_t place = check(::lseek(fd, 0, SEEK_CUR), "seek in {}", name);
  const ssize_t start = check(::pread(fd, buffer.data(), 8, place), "read {}", name);
  if (!is_compressed(std::string_view(buffer).substr(0, static_cast<size_t>(start)))) {
    for (ssize_t got = 0; (got = check(::read(fd, buffer.data(), buffer.size()), "read {}", name)) > 0;) {
      sink(std::string_view(buffer).substr(0, static_cast<size_t>(got)));
    }
    return;
  }
  const Archive opened = open_stream(fd, name);
  if (!opened) {
    return;
  }
  while (true) {
    const void* piece = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int rc = archive_read_data_block(opened.get(), &piece, &size, &offset);
    if (rc == ARCHIVE_EOF) {
      return;
    }
    if (rc < ARCHIVE_WARN) {
      refuse(opened.get(), name);
    }
    sink(std::string_view(static_cast<const char*>(piece), size));
  }
}

void read_layer(int fd, std::string_view name, const ByteSink& sink) {
  Inflater inflater(portable_gunzip, sink);
  std::string buffer(kPiece, '\0');
  bool any = false;
  while (const auto got = check(::read(fd, buffer.data(), buffer.size()), "read {}", name)) {
    inflater.write(std::string_view(buffer).substr(0, static_cast<size_t>(got)));
    any = true;
  }
  if (any) {  // a layer of no bytes is an archive without entries
    inflater.finish();
  }
}

}  // namespace jigsaw::image
