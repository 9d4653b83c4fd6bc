// Sizes, durations, ages and dates as text: what text.h says of them.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::text {
namespace {

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
  constexpr int64_t kMost = INT64_MAX / 1'000'000'000 - 1;
  if (seconds > kMost || seconds < -kMost) {
    return std::nullopt;  // years before 1678 or after 2261 don't fit; "0001-01-01" is how Go writes that there is no time
  }
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds)));
}

}  // namespace jigsaw::text
