// A container's cgroup as a scope of systemd's: jigsaw-sdbus is executed to ask for it (cgroups/systemd.h).
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "cgroups/cgroup.h"
#include "cgroups/systemd.h"

namespace jigsaw::runtime {

// Has systemd make the scope with `pid` in it, takes part in it in the trees that systemd does not keep (v1), and applies
// the limits. Returns the cgroup.
cgroups::Cgroup make_scope(const cgroups::Scope& scope, pid_t pid, const cgroups::Limits& limits,
                           const std::map<std::string, std::string>& annotations);
// Tells systemd of changed limits; the files are the caller's.
void update_scope(const cgroups::Scope& scope, const cgroups::Limits& limits);

}  // namespace jigsaw::runtime
