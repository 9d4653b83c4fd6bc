#include "base/text.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace jigsaw::text {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

}  // namespace

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> fields;
  for (size_t start = 0;;) {
    const size_t end = text.find(separator, start);
    fields.push_back(text.substr(start, end - start));
    if (end == std::string_view::npos) {
      return fields;
    }
    start = end + 1;
  }
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  for (size_t start = text.find_first_not_of(kBlanks); start != std::string_view::npos;) {
    const size_t end = text.find_first_of(kBlanks, start);
    found.push_back(text.substr(start, end - start));
    start = text.find_first_not_of(kBlanks, end);
  }
  return found;
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> found = split(text, '\n');
  if (found.back().empty()) {
    found.pop_back();
  }
  return found;
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

std::string upper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return result;
}

std::string hex(std::span<const unsigned char> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string result;
  result.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    result += kDigits[byte >> 4];
    result += kDigits[byte & 15];
  }
  return result;
}

std::optional<uint64_t> to_u64(std::string_view text) {
  uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::optional<int64_t> to_i64(std::string_view text) {
  int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

uint64_t parse_u64(std::string_view text, std::string_view what, uint64_t max) {
  const std::optional<uint64_t> value = to_u64(text);
  if (!value || *value > max) {
    throw fail("{} must be a whole number from 0 to {}, not {}", what, max, quoted(text));
  }
  return *value;
}

int64_t parse_i64(std::string_view text, std::string_view what, int64_t min, int64_t max) {
  const std::optional<int64_t> value = to_i64(text);
  if (!value || *value < min || *value > max) {
    throw fail("{} must be a whole number from {} to {}, not {}", what, min, max, quoted(text));
  }
  return *value;
}

std::string quoted(std::string_view text, size_t limit) {
  std::string result = "\"";
  for (const char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result + (text.size() > limit ? "\"…" : "\"");
}

std::string printable_line(std::string_view text) {
  std::string result = printable_lines(text);
  std::replace(result.begin(), result.end(), '\n', '?');
  return result;
}

std::string printable_lines(std::string_view text) {
  std::string result(text);
  for (size_t i = 0; i < result.size(); ++i) {
    const auto byte = static_cast<unsigned char>(result[i]);
    const auto next = static_cast<unsigned char>(i + 1 < result.size() ? result[i + 1] : 0);
    if (byte == '\t') {
      result[i] = ' ';
    } else if ((byte < 0x20 && byte != '\n') || byte == 0x7f) {
      result[i] = '?';
    } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {  // U+0080 to U+009F: some terminals obey them too
      result.replace(i, 2, "?");
    }
  }
  return result;
}

std::string shell_word(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || std::string_view("@%+=:,./-_").find(c) != std::string_view::npos;
  });
  if (plain) {
    return std::string(text);
  }
  std::string result = "'";
  for (const char c : text) {
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return result + "'";
}

std::string shell_words(std::span<const std::string> texts) {
  std::string result;
  for (const std::string& text : texts) {
    result += (result.empty() ? "" : " ") + shell_word(text);
  }
  return result;
}

namespace {

// The shortest of `candidates` that goes on where `word` ends, or else the longest that ends within it: "--mem" and
// "--memory-limit" mean "--memory".
std::optional<std::string> continued(std::string_view word, std::span<const std::string> candidates) {
  constexpr size_t kLeast = 4;  // bytes in common: less is chance
  const std::string* longer = nullptr;
  const std::string* shorter = nullptr;
  for (const std::string& candidate : candidates) {
    if (word.size() >= kLeast && candidate.starts_with(word) && (longer == nullptr || candidate.size() < longer->size())) {
      longer = &candidate;
    }
    if (candidate.size() >= kLeast && word.starts_with(candidate) && (shorter == nullptr || candidate.size() > shorter->size())) {
      shorter = &candidate;
    }
  }
  const std::string* best = longer != nullptr ? longer : shorter;
  return best != nullptr ? std::optional(*best) : std::nullopt;
}

}  // namespace

std::optional<std::string> closest(std::string_view word, std::span<const std::string> candidates) {
  const std::string_view shown = word.substr(0, 64);
  size_t best = shown.size() <= 3 ? 2 : 3;  // distances below this count as a slip
  std::optional<std::string> found;
  for (const std::string& candidate : candidates) {
    std::vector<size_t> row(candidate.size() + 1);
    std::vector<size_t> before(candidate.size() + 1);
    std::vector<size_t> two_before;
    for (size_t j = 0; j <= candidate.size(); ++j) {
      before[j] = j;
    }
    for (size_t i = 1; i <= shown.size(); ++i) {
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        row[j] = std::min({before[j] + 1, row[j - 1] + 1, before[j - 1] + (shown[i - 1] == candidate[j - 1] ? 0 : 1)});
        if (i > 1 && j > 1 && shown[i - 1] == candidate[j - 2] && shown[i - 2] == candidate[j - 1]) {
          row[j] = std::min(row[j], two_before[j - 2] + 1);
        }
      }
      two_before = before;
      before = row;
    }
    const size_t distance = before[candidate.size()];
    if (distance < best && distance < std::max(shown.size(), candidate.size())) {
      best = distance;
      found = candidate;
    }
  }
  const auto whole = found && best <= 1 ? std::nullopt : continued(shown, candidates);
  return whole && (!found || whole->starts_with(shown)) ? whole : found;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const auto near = closest(word, candidates);
  return near ? fmt::format(", did you mean '{}'?", *near) : "";
}

}  // namespace jigsaw::text
