#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>

#include "base/error.h"

namespace jigsaw::text {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

struct Unit {
  std::string_view name;
  double factor;
};

// Reads "<decimal><unit>" pairs; used by sizes (one pair) and durations (several).
struct DecimalAndUnit {
  double number;
  std::string_view unit;
  std::string_view rest;
};

std::optional<DecimalAndUnit> take_decimal_and_unit(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && (std::isdigit(static_cast<unsigned char>(text[digits])) || text[digits] == '.')) {
    ++digits;
  }
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + digits, number, std::chars_format::fixed);
  if (digits == 0 || problem != std::errc() || end != text.data() + digits || !std::isfinite(number)) {
    return std::nullopt;
  }
  size_t unit_end = digits;
  while (unit_end < text.size() && !std::isdigit(static_cast<unsigned char>(text[unit_end])) && text[unit_end] != '.') {
    ++unit_end;
  }
  return DecimalAndUnit{number, text.substr(digits, unit_end - digits), text.substr(unit_end)};
}

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

uint64_t parse_size(std::string_view text, std::string_view what) {
  static constexpr Unit kUnits[] = {
      {"", 1},           {"b", 1},           {"k", 0x1p10},   {"kb", 0x1p10}, {"kib", 0x1p10},
      {"m", 0x1p20},     {"mb", 0x1p20},     {"mib", 0x1p20}, {"g", 0x1p30},  {"gb", 0x1p30},
      {"gib", 0x1p30},   {"t", 0x1p40},      {"tb", 0x1p40},  {"tib", 0x1p40}};
  const auto part = take_decimal_and_unit(text);
  if (part && part->rest.empty()) {
    const std::string unit = lower(part->unit);
    for (const Unit& known : kUnits) {
      if (known.name == unit && part->number * known.factor < 0x1p63) {
        return static_cast<uint64_t>(part->number * known.factor);
      }
    }
  }
  throw Error(fmt::format("{} must be a size, not {}", what, quoted(text)),
              "write bytes or a unit: 65536, 64k, 1.5m, 2g");
}

double parse_decimal(std::string_view text, std::string_view what) {
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || value < 0) {
    throw fail("{} must be a number that is not negative, such as 0.5, not {}", what, quoted(text));
  }
  return value;
}

std::chrono::nanoseconds parse_duration(std::string_view text, std::string_view what) {
  static constexpr Unit kUnits[] = {{"ns", 1},   {"us", 1e3},  {"µs", 1e3}, {"ms", 1e6},
                                    {"s", 1e9},  {"m", 60e9},  {"h", 3600e9}};
  double total = 0;
  std::string_view rest = text;
  bool good = !text.empty();
  while (good && !rest.empty()) {
    const auto part = take_decimal_and_unit(rest);
    const auto* unit = part ? std::find_if(std::begin(kUnits), std::end(kUnits),
                                           [&](const Unit& known) { return known.name == part->unit; })
                            : std::end(kUnits);
    good = unit != std::end(kUnits);
    if (good) {
      total += part->number * unit->factor;
      rest = part->rest;
    }
  }
  if (text == "0") {
    return std::chrono::nanoseconds(0);
  }
  if (!good || total >= 0x1p63) {
    throw Error(fmt::format("{} must be a duration, not {}", what, quoted(text)), "write it as 300ms, 10s or 1h30m");
  }
  return std::chrono::nanoseconds(static_cast<int64_t>(total));
}

std::string human_size(uint64_t bytes) {
  if (bytes < 1000) {
    return fmt::format("{}B", bytes);
  }
  static constexpr std::string_view kUnits[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f}{}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string human_age(std::chrono::system_clock::time_point then) {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now() - then).count();
  struct Span {
    int64_t seconds;
    std::string_view name;
  };
  static constexpr Span kSpans[] = {{365LL * 86400, "year"}, {30 * 86400, "month"}, {7 * 86400, "week"},
                                    {86400, "day"},          {3600, "hour"},        {60, "minute"}};
  for (const Span& span : kSpans) {
    if (seconds >= span.seconds) {
      const int64_t count = seconds / span.seconds;
      return fmt::format("{} {}{} ago", count, span.name, count == 1 ? "" : "s");
    }
  }
  return fmt::format("{} second{} ago", std::max<int64_t>(seconds, 0), seconds == 1 ? "" : "s");
}

std::string rfc3339(std::chrono::system_clock::time_point time) {
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  int64_t seconds = nanoseconds / 1'000'000'000;
  int64_t rest = nanoseconds % 1'000'000'000;
  if (rest < 0) {
    rest += 1'000'000'000;
    --seconds;
  }
  // gmtime_r(3) would read /etc/localtime first.
  const std::chrono::sys_seconds when{std::chrono::seconds(seconds)};
  const auto midnight = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day day(midnight);
  const std::chrono::hh_mm_ss clock(when - midnight);
  std::string fraction = rest == 0 ? "" : fmt::format(".{:09}", rest);
  while (!fraction.empty() && fraction.back() == '0') {
    fraction.pop_back();
  }
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}Z", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                     static_cast<unsigned>(day.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count(), fraction);
}

std::optional<std::chrono::system_clock::time_point> parse_rfc3339(std::string_view text) {
  std::tm parts{};
  const std::string whole(text);
  const char* rest = ::strptime(whole.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) {
    return std::nullopt;
  }
  int64_t nanoseconds = 0;
  if (*rest == '.') {
    int64_t unit = 100'000'000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) {
      nanoseconds += (*rest - '0') * unit;
    }
  }
  int64_t offset = 0;
  if (*rest == '+' || *rest == '-') {
    const std::string_view zone(rest + 1);
    const auto hours = zone.size() == 5 && zone[2] == ':' ? to_u64(zone.substr(0, 2)) : std::nullopt;
    const auto minutes = hours ? to_u64(zone.substr(3)) : std::nullopt;
    if (!minutes) {
      return std::nullopt;
    }
    offset = static_cast<int64_t>(*hours * 3600 + *minutes * 60) * (*rest == '-' ? -1 : 1);
  } else if (std::string_view(rest) != "Z") {
    return std::nullopt;
  }
  // timegm(3) would read /etc/localtime first. As there, the 31st of a short month is a day of the next.
  const auto day = std::chrono::sys_days(std::chrono::year(parts.tm_year + 1900) / (parts.tm_mon + 1) / 1) + std::chrono::days(parts.tm_mday - 1);
  const int64_t seconds = std::chrono::seconds(day.time_since_epoch()).count() + parts.tm_hour * 3600 + parts.tm_min * 60 + parts.tm_sec - offset;
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds)));
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
  std::string result(text);
  for (char& c : result) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\t') {
      c = ' ';
    } else if (byte < 0x20 || byte == 0x7f) {
      c = '?';
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

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    if (length == 0 || i + length > text.size()) {
      return false;
    }
    uint32_t point = length == 1 ? lead : lead & (0xffU >> (length + 1));
    for (size_t k = 1; k < length; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xc0) != 0x80) {
        return false;
      }
      point = point << 6 | (byte & 0x3f);
    }
    const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
    if (overlong || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      return false;
    }
    i += length;
  }
  return true;
}

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
  return found;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const auto near = closest(word, candidates);
  return near ? fmt::format(", did you mean '{}'?", *near) : "";
}

}  // namespace jigsaw::text
