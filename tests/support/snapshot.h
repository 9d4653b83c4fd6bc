// The host before and after: what a program may not leave behind.
#pragma once

#include <string>

namespace jigsaw::test {

// Mounts, cgroup directories, network links and namespaces, and processes (other than this one's ancestors) as text,
// one sorted line each, so that EXPECT_EQ(before, after) shows exactly what was left.
struct HostSnapshot {
  std::string mounts;
  std::string cgroups;
  std::string links;
  std::string processes;
};
HostSnapshot host_snapshot();
// The lines of `after` that `before` lacks, for all four; "" if nothing was left behind.
std::string left_behind(const HostSnapshot& before, const HostSnapshot& after);

}  // namespace jigsaw::test
