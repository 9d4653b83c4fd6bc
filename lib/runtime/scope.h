// A container's cgroup as a scope of systemd's: jigsaw-sdbus is executed to ask for it (cgroups/systemd.h).
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "cgroups/cgroup.h"
#include "cgroups/systemd.h"

namespace jigsaw::runtime {

// Has systemd make the scope with `pid` in it.
void start_scope(const cgroups::Scope& scope, pid_t pid, const cgroups::Limits& limits,
                 const std::map<std::string, std::string>& annotations);
// Then: takes part in it in the trees that systemd does not keep (v1), and applies the limits. Returns the cgroup.
cgroups::Cgroup enter_scope(pid_t pid, const cgroups::Limits& limits);
// Tells systemd of changed limits of the scope whose cgroup has this path; the files are the caller's.
void update_scope(const std::string& path, const cgroups::Limits& limits);
// Has systemd forget the scope, whose processes are gone: where its cgroup was removed by others it would not notice.
// If that fails there is a warning.
void end_scope(const std::string& path);

}  // namespace jigsaw::runtime
