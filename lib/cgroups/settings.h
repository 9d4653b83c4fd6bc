// Settings: limits turned into the files of a cgroup directory, as data. One limit has one meaning and two spellings:
//
//     limit             v1                              v2
//     memory.limit      memory.limit_in_bytes           memory.max
//     memory.swap       memory.memsw.limit_in_bytes     memory.swap.max, without the memory in it
//     cpu.shares 1024   cpu.shares 1024                 cpu.weight 100
//     cpu.quota/period  cpu.cfs_quota_us, _period_us    cpu.max "quota period"
//     pids              pids.max                        pids.max
//     block_io.*        blkio.throttle.*_device         io.max
//     devices           devices.allow, devices.deny     an eBPF program (devices.h)
//
// Sources: Documentation/admin-guide/cgroup-v1/*.rst and cgroup-v2.rst in the kernel, OCI config-linux.md.
#pragma once

#include <string>
#include <vector>

#include "cgroups/layout.h"
#include "cgroups/limits.h"

namespace jigsaw::cgroups {

struct Setting {
  // kIgnored: the kernel may lack the file or refuse the value without harm (a limit that it gave up).
  enum class Refusal { kError, kIgnored };
  std::string controller;  // v2 name
  std::string file;        // "memory.max"
  std::string value;
  std::string why;
  Refusal refusal = Refusal::kError;
  std::string otherwise;   // a file to take instead where `file` does not exist ("io.bfq.weight" -> "io.weight")
  std::string otherwise_value;
};

// What to write, in order, for each controller's version in `layout`. Device rules on v2 are not in it. Throws if a
// controller that is needed is in no tree, or a limit has no meaning in the version that is there.
std::vector<Setting> settings_for(const Limits& limits, const Layout& layout);

// cpu.shares (2-262144, 1024 by default) as cpu.weight (1-10000, 100 by default). The ends and the defaults meet:
// 2 -> 1, 1024 -> 100, 262144 -> 10000; between them it is the parabola through those three points in log scale.
uint64_t weight_from_shares(uint64_t shares);
// blkio.weight (10-1000) as io.weight (1-10000), linear.
uint64_t io_weight_from_blkio(uint64_t weight);

}  // namespace jigsaw::cgroups
