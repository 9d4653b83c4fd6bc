#include "image/archive_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "image/tar_fields.h"

namespace jigsaw::image {
namespace {

constexpr uint64_t kBlock = 512;
constexpr uint64_t kLargestOctal = 077777777777;  // 8 GiB - 1: what eleven octal digits hold

void put_octal(char* field, size_t width, uint64_t value) {
  const std::string digits = fmt::format("{:0{}o}", value, width - 1);
  std::memcpy(field, digits.data(), width - 1);
}

// Base 256 with the top bit set, as GNU tar writes sizes that octal digits can't hold.
void put_size(char* field, size_t width, uint64_t value) {
  if (value <= kLargestOctal) {
    return put_octal(field, width, value);
  }
  field[0] = static_cast<char>(0x80);
  for (size_t i = width - 1; i > 0 && value > 0; --i, value >>= 8U) {
    field[i] = static_cast<char>(value & 255U);
  }
}

}  // namespace

ArchiveWriter::ArchiveWriter(std::string path, const std::string& temporary_directory) : path_(std::move(path)) {
  struct stat status {};
  const bool stream = path_ == "-" || (::stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode));
  if (stream) {  // a pipe or a device is written to, not replaced
    stream_ = path_ == "-" ? duplicate(STDOUT_FILENO) : files::open(path_, O_WRONLY);
    file_ = files::open(temporary_directory, O_TMPFILE | O_RDWR, 0600);
    return;
  }
  temporary_ = fmt::format("{}.{}.part", path_, files::random_hex(4));
  file_ = files::open(temporary_, O_WRONLY | O_CREAT | O_EXCL, 0644);
}

ArchiveWriter::~ArchiveWriter() {
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
}

void ArchiveWriter::header(const std::string& member, char type, uint64_t size, uint64_t offset) {
  TarHeaderBlock block{};
  if (member.size() > sizeof(block.name)) {
    throw fail("the member name {} is too long", member);
  }
  member.copy(block.name, sizeof(block.name));
  put_octal(block.mode, sizeof(block.mode), type == '5' ? 0755 : 0644);
  put_octal(block.uid, sizeof(block.uid), 0);
  put_octal(block.gid, sizeof(block.gid), 0);
  put_size(block.size, sizeof(block.size), size);
  put_octal(block.mtime, sizeof(block.mtime), 0);
  block.typeflag = type;
  std::memcpy(block.magic, "ustar\0" "00", 8);
  std::memset(block.checksum, ' ', sizeof(block.checksum));
  uint64_t sum = 0;
  for (size_t i = 0; i < sizeof(block); ++i) {
    sum += reinterpret_cast<const unsigned char*>(&block)[i];
  }
  put_octal(block.checksum, sizeof(block.checksum) - 1, sum);
  block.checksum[6] = '\0';
  check(::pwrite(file_.get(), &block, sizeof(block), static_cast<off_t>(offset)), "write {}", path_);
}

void ArchiveWriter::append(std::string_view bytes) {
  files::write_all(file_.get(), bytes, path_);
  at_ += bytes.size();
}

void ArchiveWriter::add(const std::string& member, std::string_view text) {
  add(member, [&](const Put& put) { put(text); });
}

void ArchiveWriter::add(const std::string& member, const std::function<void(const Put&)>& write) {
  const uint64_t start = at_;
  append(std::string(kBlock, '\0'));
  write([this](std::string_view bytes) { append(bytes); });
  const uint64_t size = at_ - start - kBlock;
  append(std::string((kBlock - size % kBlock) % kBlock, '\0'));
  header(member, '0', size, start);
}

void ArchiveWriter::add_directory(const std::string& member) {
  const uint64_t start = at_;
  append(std::string(kBlock, '\0'));
  header(member, '5', 0, start);
}

void ArchiveWriter::finish() {
  append(std::string(2 * kBlock, '\0'));
  if (!stream_) {
    check(::rename(temporary_.c_str(), path_.c_str()), "rename {} to {}", temporary_, path_);
    temporary_.clear();
    return;
  }
  check(::lseek(file_.get(), 0, SEEK_SET), "rewind the archive");
  std::string buffer(256U << 10, '\0');
  while (const auto got = check(::read(file_.get(), buffer.data(), buffer.size()), "read the archive")) {
    files::write_all(stream_.get(), std::string_view(buffer).substr(0, static_cast<size_t>(got)), path_ == "-" ? "standard output" : path_);
  }
}

}  // namespace jigsaw::image
