#include "image/tar_fields.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "image/tar_reader.h"

namespace jigsaw::image {
namespace {

std::optional<int64_t> base256(const char* field, size_t size) {
  const auto first = static_cast<unsigned char>(field[0]);
  const bool negative = (first & 0x40) != 0;
  uint64_t value = negative ? UINT64_MAX : 0;
  for (size_t i = 0; i < size; ++i) {
    auto byte = static_cast<unsigned char>(field[i]);
    if (i == 0) {
      byte = negative ? byte | 0x80 : byte & 0x7f;
    }
    if ((value >> 56) != (negative ? 0xffU : 0U)) {
      return std::nullopt;
    }
    value = (value << 8) | byte;
  }
  if (((value >> 63) != 0) != negative) {
    return std::nullopt;
  }
  return static_cast<int64_t>(value);
}

}  // namespace

std::optional<int64_t> tar_number(const char* field, size_t size) {
  if ((static_cast<unsigned char>(field[0]) & 0x80) != 0) {
    return base256(field, size);
  }
  std::string_view text(field, size);
  const auto blank = [](char c) { return c == ' ' || c == '\0'; };
  while (!text.empty() && blank(text.front())) {
    text.remove_prefix(1);
  }
  text = text.substr(0, text.find('\0'));
  while (!text.empty() && blank(text.back())) {
    text.remove_suffix(1);
  }
  int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || value > (INT64_MAX >> 3)) {
      return std::nullopt;
    }
    value = value * 8 + (c - '0');
  }
  return value;
}

std::string tar_text(const char* field, size_t size) { return std::string(field, ::strnlen(field, size)); }

// GNU has the times of access and change where ustar has the prefix, star behind a shorter one. But Go wrote a prefix into GNU
// headers too until version 1.8, and so did Docker in those years: what is no time there is a prefix.
std::string tar_prefix(const TarHeaderBlock& block) {
  constexpr size_t kTime = 12;
  constexpr size_t kStarPrefix = 131;
  if (std::memcmp(block.magic, "ustar", 5) != 0) {
    return "";
  }
  if (block.magic[5] == ' ') {
    std::string text = tar_text(block.prefix, sizeof block.prefix);
    const bool times = tar_number(block.prefix, kTime) && tar_number(block.prefix + kTime, kTime);
    const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    return times || !ascii ? "" : text;
  }
  const bool star = std::memcmp(block.pad + sizeof block.pad - 4, "tar", 4) == 0;
  return tar_text(block.prefix, star ? kStarPrefix : sizeof block.prefix);
}

bool tar_checksum_fits(const TarHeaderBlock& block) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&block);
  int64_t with_sign = 0;  // ancient tars summed signed characters
  int64_t sum = 0;
  constexpr size_t kStart = offsetof(TarHeaderBlock, checksum);
  for (size_t i = 0; i < sizeof block; ++i) {
    const unsigned char byte = i >= kStart && i < kStart + sizeof block.checksum ? ' ' : bytes[i];
    sum += byte;
    with_sign += static_cast<signed char>(byte);
  }
  const auto written = tar_number(block.checksum, sizeof block.checksum);
  return written && (*written == sum || *written == with_sign);
}

PaxRecords parse_pax(std::string_view text) {
  PaxRecords result;
  while (!text.empty()) {
    const size_t blank = text.find(' ');
    const auto length = text::to_u64(text.substr(0, blank));
    if (blank == std::string_view::npos || blank > 20 || !length || *length <= blank + 1 || *length > text.size() ||
        text[*length - 1] != '\n') {
      throw fail("a PAX header holds a record without a right length");
    }
    const std::string_view record = text.substr(blank + 1, *length - blank - 2);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      throw fail("a PAX header holds a record without a key");
    }
    const std::string key(record.substr(0, equals));
    const std::string value(record.substr(equals + 1));
    const bool is_text = key == "path" || key == "linkpath" || key == "uname" || key == "gname";
    if (key.find('\0') != std::string::npos || (is_text && value.find('\0') != std::string::npos)) {
      throw fail("the PAX record {} holds a NUL byte", text::quoted(key));
    }
    if (key == "GNU.sparse.offset" || key == "GNU.sparse.numbytes") {
      result.sparse.emplace_back(key, value);
    } else {
      result.values[key] = value;
    }
    text.remove_prefix(*length);
  }
  return result;
}

std::optional<timespec> pax_time(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  const size_t point = text.find('.');
  const bool negative = text.starts_with('-');
  const auto seconds = text::to_i64(text.substr(0, point));
  if (!seconds) {
    return std::nullopt;
  }
  timespec result{};
  result.tv_sec = *seconds;
  if (point == std::string_view::npos) {
    return result;
  }
  const std::string_view fraction = text.substr(point + 1);
  if (!std::all_of(fraction.begin(), fraction.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  std::string nine(fraction.substr(0, 9));
  nine.resize(9, '0');
  const auto nanoseconds = static_cast<long>(*text::to_u64(nine));
  result.tv_nsec = nanoseconds;
  if (negative && nanoseconds > 0) {
    result.tv_sec -= 1;
    result.tv_nsec = 1000000000L - nanoseconds;
  }
  return result;
}

void check_sparse(const std::vector<SparsePiece>& pieces, uint64_t size) {
  uint64_t end = 0;
  for (const SparsePiece& piece : pieces) {
    if (piece.offset < end || piece.offset > size || piece.size > size - piece.offset) {
      throw fail("the pieces of a sparse file overlap or lie beyond its end");
    }
    end = piece.offset + piece.size;
  }
}

}  // namespace jigsaw::image
