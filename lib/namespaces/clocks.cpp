#include "namespaces/clocks.h"

#include <sched.h>

#include <cerrno>
#include <ctime>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "namespaces/enter.h"

namespace jigsaw::namespaces {
namespace {

constexpr std::string_view kMonotonic = "monotonic";
constexpr std::string_view kBoottime = "boottime";

// The kernel only says ERANGE.
Error diagnosed(Error error, const ClockOffset& offset) {
  if (error.error_number() != ERANGE) {
    return error;
  }
  timespec now{};
  ::clock_gettime(offset.clock == kBoottime ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &now);
  return std::move(error).with_hint(
      fmt::format("no clock goes below zero or beyond 146 years; here {} is at {} s", offset.clock, now.tv_sec));
}

}  // namespace

ClockOffset parse_clock_offset(std::string_view text) {
  const size_t equals = text.find('=');
  const std::string_view clock = text.substr(0, equals);
  if (equals == std::string_view::npos || (clock != kMonotonic && clock != kBoottime)) {
    throw Error(fmt::format("{} is no offset of a clock", text::quoted(text)), "monotonic=SECONDS or boottime=SECONDS");
  }
  std::string_view digits = text.substr(equals + 1);
  const bool behind = digits.starts_with('-');
  digits.remove_prefix(behind || digits.starts_with('+') ? 1 : 0);
  const auto seconds = text::to_u64(digits);
  if (!seconds || *seconds > INT64_MAX) {
    throw Error(fmt::format("{} is no number of seconds", text::quoted(text.substr(equals + 1))),
                "such as boottime=86400 or monotonic=-5");
  }
  return {std::string(clock), behind ? -static_cast<int64_t>(*seconds) : static_cast<int64_t>(*seconds)};
}

void enter_shifted_clocks(const std::vector<ClockOffset>& offsets) {
  sys::unshare(CLONE_NEWTIME, "clocks of the container's own; they are set before anyone reads them");
  for (const ClockOffset& offset : offsets) {
    try {
      sys::write_file("/proc/self/timens_offsets", fmt::format("{} {} {}", offset.clock, offset.seconds, offset.nanoseconds),
                      "how far this clock is ahead of the host's");
    } catch (Error& error) {
      throw diagnosed(std::move(error), offset);
    }
  }
  enter(open(*find("time"), "/proc/self/ns/time_for_children"));
}

}  // namespace jigsaw::namespaces
