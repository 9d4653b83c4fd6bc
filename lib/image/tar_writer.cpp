#include "image/tar_writer.h"

#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "image/tar_fields.h"

namespace jigsaw::image {
namespace {

constexpr uint64_t kOctal7 = 07777777;         // what 7 octal digits hold
constexpr uint64_t kOctal11 = 077777777777;    // and 11

template <size_t N>
void put_octal(char (&field)[N], uint64_t value) {
  const std::string digits = fmt::format("{:0{}o}", value, N - 1);
  std::memcpy(field, digits.data(), N - 1);
  field[N - 1] = '\0';
}

template <size_t N>
void put_text(char (&field)[N], std::string_view text) {
  std::memcpy(field, text.data(), std::min(N, text.size()));
}

// "LENGTH KEY=VALUE\n", where LENGTH counts its own digits too.
std::string pax_record(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (fmt::formatted_size("{}", length) + rest != length) {
    length = fmt::formatted_size("{}", length) + rest;
  }
  return fmt::format("{} {}={}\n", length, key, value);
}

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) {
      return false;
    }
  }
  return true;
}

char typeflag_of(TarType type) {
  switch (type) {
    case TarType::kFile:
      return '0';
    case TarType::kHardLink:
      return '1';
    case TarType::kSymlink:
      return '2';
    case TarType::kCharacterDevice:
      return '3';
    case TarType::kBlockDevice:
      return '4';
    case TarType::kDirectory:
      return '5';
    default:
      return '6';
  }
}

std::string pax_records(const TarEntry& entry) {
  std::string records;
  const auto add = [&](std::string_view key, std::string_view value) { records += pax_record(key, value); };
  if (entry.name.size() > sizeof TarHeaderBlock::name || !is_ascii(entry.name)) {
    add("path", entry.name);
  }
  if (entry.link.size() > sizeof TarHeaderBlock::linkname || !is_ascii(entry.link)) {
    add("linkpath", entry.link);
  }
  if (entry.size > kOctal11) {
    add("size", std::to_string(entry.size));
  }
  if (entry.uid > kOctal7) {
    add("uid", std::to_string(entry.uid));
  }
  if (entry.gid > kOctal7) {
    add("gid", std::to_string(entry.gid));
  }
  if (entry.mtime.tv_sec < 0 || static_cast<uint64_t>(entry.mtime.tv_sec) > kOctal11) {
    add("mtime", std::to_string(entry.mtime.tv_sec));
  }
  for (const auto& [key, value] : entry.xattrs) {
    add("SCHILY.xattr." + key, value);
  }
  return records;
}

uint64_t octal_or_zero(uint64_t value, uint64_t largest) { return value > largest ? 0 : value; }

}  // namespace

void TarWriter::write_header(const TarEntry& entry, char typeflag, std::string_view name, uint64_t size) {
  TarHeaderBlock block{};
  put_text(block.name, name);
  put_octal(block.mode, entry.mode);
  put_octal(block.uid, octal_or_zero(entry.uid, kOctal7));
  put_octal(block.gid, octal_or_zero(entry.gid, kOctal7));
  put_octal(block.size, octal_or_zero(size, kOctal11));
  put_octal(block.mtime, entry.mtime.tv_sec < 0 ? 0 : octal_or_zero(static_cast<uint64_t>(entry.mtime.tv_sec), kOctal11));
  block.typeflag = typeflag;
  put_text(block.linkname, typeflag == '1' || typeflag == '2' ? entry.link : std::string());
  std::memcpy(block.magic, "ustar", sizeof block.magic);
  std::memcpy(block.version, "00", sizeof block.version);
  put_octal(block.device_major, entry.device_major);
  put_octal(block.device_minor, entry.device_minor);
  std::memset(block.checksum, ' ', sizeof block.checksum);
  uint64_t sum = 0;
  for (size_t i = 0; i < sizeof block; ++i) {
    sum += reinterpret_cast<const unsigned char*>(&block)[i];
  }
  std::memcpy(block.checksum, fmt::format("{:06o}", sum).c_str(), 7);
  sink_(std::string_view(reinterpret_cast<const char*>(&block), sizeof block));
}

void TarWriter::pad(uint64_t written) {
  static const std::string zeros(kTarBlock, '\0');
  if (const size_t over = written % kTarBlock; over != 0) {
    sink_(std::string_view(zeros).substr(over));
  }
}

void TarWriter::begin(const TarEntry& entry) {
  if (left_ != 0) {
    throw fail("a file in a tar archive lacks {} bytes of its content", left_);
  }
  if (const std::string records = pax_records(entry); !records.empty()) {
    write_header(TarEntry{.mode = 0644}, 'x', "PaxHeaders/entry", records.size());
    sink_(records);
    pad(records.size());
  }
  size_ = left_ = entry.type == TarType::kFile ? entry.size : 0;
  write_header(entry, typeflag_of(entry.type), entry.name, size_);
}

void TarWriter::data(std::string_view bytes) {
  if (bytes.size() > left_) {
    throw fail("a file in a tar archive has more bytes than its header says");
  }
  sink_(bytes);
  left_ -= bytes.size();
  if (left_ == 0) {
    pad(size_);
  }
}

void TarWriter::finish() {
  if (left_ != 0) {
    throw fail("a file in a tar archive lacks {} bytes of its content", left_);
  }
  sink_(std::string(2 * kTarBlock, '\0'));
}

}  // namespace jigsaw::image
