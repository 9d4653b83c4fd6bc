// Resource limits of a process (getrlimit(2)): how many files it may open, how large a core dump may be.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::security {

struct Rlimit {
  int resource = 0;    // RLIMIT_NOFILE
  uint64_t soft = 0;   // UINT64_MAX is no limit
  uint64_t hard = 0;
};

// "RLIMIT_NOFILE" or "nofile" -> its number.
std::optional<int> rlimit_resource(std::string_view name);
std::string rlimit_name(int resource);
// docker's --ulimit: "nofile=1024:2048", "core=-1".
Rlimit parse_ulimit(std::string_view text);
// Sets those of `pid`, or our own with 0. Without the right to raise a hard limit the present one stays, with a warning.
void set_rlimits(pid_t pid, const std::vector<Rlimit>& limits);

}  // namespace jigsaw::security
