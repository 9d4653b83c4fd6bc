// Clocks: in a time namespace two of the kernel's clocks are shifted by a fixed number of seconds: `monotonic`, with which
// programs measure how long something takes, and `boottime`, which uptime(1) shows. So a container can be moved to another
// machine without its clocks jumping. The time of day is not among them: it is the same for all.
//
//     unshare(CLONE_NEWTIME)                              a new namespace, nobody is in it yet, not even we
//     write "boottime 86400 0" to timens_offsets          now or never: once somebody is in it, the offsets are fixed
//     setns(/proc/self/ns/time_for_children)              now we are
//
// clone3(2) with CLONE_NEWTIME leaves no moment for the second step. Man page: time_namespaces(7).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::namespaces {

struct ClockOffset {
  std::string clock;         // "monotonic" or "boottime"
  int64_t seconds = 0;       // ahead of the host's clock; below zero: behind it
  uint32_t nanoseconds = 0;  // on top of the seconds
};
// "boottime=86400", "monotonic=-5". Throws.
ClockOffset parse_clock_offset(std::string_view text);

// Puts the caller, which must have one thread, into a new time namespace with these offsets.
void enter_shifted_clocks(const std::vector<ClockOffset>& offsets);

}  // namespace jigsaw::namespaces
