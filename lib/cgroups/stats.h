// Stats: what a cgroup uses and what its limits did to it, read from whichever tree holds each controller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cgroups/cgroup.h"

namespace jigsaw::cgroups {

struct MemoryStats {
  uint64_t usage = 0;                 // bytes
  std::optional<uint64_t> peak;       // bytes
  std::optional<uint64_t> limit;      // bytes; absent: none
  std::optional<uint64_t> swap;       // bytes of swap alone
  std::optional<uint64_t> swap_limit; // bytes of swap alone
  uint64_t failures = 0;              // times the limit was hit
  uint64_t oom_kills = 0;             // processes killed for it
  uint64_t cache = 0;                 // bytes of page cache within usage
  uint64_t anonymous = 0;             // bytes of heap and stacks
};
struct CpuStats {
  uint64_t usage_ns = 0;
  uint64_t user_ns = 0;
  uint64_t system_ns = 0;
  uint64_t periods = 0;            // that had a quota
  uint64_t throttled_periods = 0;  // in which it was used up
  uint64_t throttled_ns = 0;
};
struct PidsStats {
  uint64_t current = 0;
  std::optional<uint64_t> limit;
  uint64_t refused = 0;  // forks that failed for the limit
};
struct IoStats {
  std::string device;  // "8:0"
  uint64_t read_bytes = 0;
  uint64_t write_bytes = 0;
  uint64_t reads = 0;
  uint64_t writes = 0;
};
struct HugepageStats {
  std::string page_size;
  uint64_t usage = 0;
  uint64_t peak = 0;
  uint64_t failures = 0;
};

// A controller that is in none of the cgroup's trees is absent.
struct Stats {
  std::optional<MemoryStats> memory;
  std::optional<CpuStats> cpu;
  std::optional<PidsStats> pids;
  std::vector<IoStats> io;
  std::vector<HugepageStats> hugepages;
};
Stats read_stats(const Cgroup& cgroup);

// A few words for each, as tables show them: "1.5MiB / 64MiB", "0.73s (5 of 12 periods cut short)", "3 / 20",
// "4KiB read, 0B written". "-" for what is not measured.
struct StatsTexts {
  std::string memory;
  std::string cpu;
  std::string pids;
  std::string io;
};
StatsTexts describe(const Stats& stats);

// Processes of the cgroup that the kernel killed for want of memory since it was made.
uint64_t oom_kills(const Cgroup& cgroup);
// "killed by the kernel: out of memory (limit 64MiB)" if that happened: what to tell about an exit code 137.
std::optional<std::string> oom_notice(const Cgroup& cgroup);
// The same as a warning for the user, for a run that may have no cgroup.
void warn_of_oom(const std::optional<Cgroup>& cgroup);

}  // namespace jigsaw::cgroups
