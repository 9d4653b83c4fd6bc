// What PAX records say about the entry behind them. POSIX pax, "pax Extended Header"; star(4) for
// SCHILY.xattr.
#include "base/error.h"
#include "base/text.h"
#include "image/tar_state.h"

namespace jigsaw::image {
namespace {

std::string percent_decoded(std::string_view text) {
  std::string result;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      result += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::optional<std::string> base64_decoded(std::string_view text) {
  std::string result;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0 && c != '=') {
      return std::nullopt;
    }
    if (c == '=') {
      break;
    }
    bits = bits << 6 | static_cast<uint32_t>(value);
    if ((have += 6) >= 8) {
      result += static_cast<char>(bits >> (have -= 8) & 0xff);
    }
  }
  return result;
}

}  // namespace

uint64_t whole_number(std::optional<int64_t> number, std::string_view what) {
  if (!number || *number < 0) {
    throw fail("a tar header holds a wrong {}", what);
  }
  return static_cast<uint64_t>(*number);
}

uint64_t whole_number(const std::string& text, std::string_view what) {
  return whole_number(text::to_i64(text.starts_with('+') ? text.substr(1) : text), what);
}

void TarReader::State::apply_pax() {
  for (auto& [key, value] : pax.values) {
    if (key.starts_with("SCHILY.xattr.")) {
      entry.xattrs[key.substr(13)] = value;
    } else if (key.starts_with("LIBARCHIVE.xattr.")) {
      if (const auto decoded = base64_decoded(value)) {
        entry.xattrs.try_emplace(percent_decoded(key.substr(17)), *decoded);
      }
    } else if (value.empty()) {
      continue;  // an empty value takes back what an earlier header said
    } else if (key == "path") {
      entry.name = value;
    } else if (key == "linkpath") {
      entry.link = value;
    } else if (key == "size") {
      entry.size = stored = whole_number(value, "size");
    } else if (key == "uid") {
      entry.uid = whole_number(value, "user ID");
    } else if (key == "gid") {
      entry.gid = whole_number(value, "group ID");
    } else if (key == "mtime" || key == "atime" || key == "ctime") {
      const auto time = pax_time(value);
      if (!time) {
        throw fail("a PAX header holds a wrong time");
      }
      entry.mtime = key == "mtime" ? *time : entry.mtime;
    }
  }
}

}  // namespace jigsaw::image
