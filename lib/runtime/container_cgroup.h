// The cgroup of a container: where it is, what it limits, when it is made.
#pragma once

#include <optional>
#include <string>

#include "cgroups/cgroup.h"
#include "cgroups/systemd.h"
#include "runtime/container.h"
#include "runtime/state.h"

namespace jigsaw::runtime {

// The container's, or one that does not exist if it goes without.
cgroups::Cgroup cgroup_of(const State& state, const cgroups::Layout& layout = cgroups::read_layout());

// Where a new one is: cgroupsPath, below our own cgroup if it is relative, or named after the id.
std::string cgroup_path(const Spec& spec, const Surroundings& surroundings, const cgroups::Layout& layout);
// The same if systemd makes it.
cgroups::Scope scope_of(const Spec& spec, const Surroundings& surroundings);

// Without privilege there may be no place for a cgroup. Then the container goes without, unless something is to be
// limited; rules for devices do not count, since nobody can make a device in a user namespace.
bool goes_without_cgroup(const Spec& spec, const cgroups::Layout& layout, const std::string& path);

// Why a cgroup that is there already can't be the container's; nothing if it can. Processes in it, or below it, are another
// container's, and must not be ended with ours; in a frozen one our child would never answer.
std::optional<std::string> why_taken(const cgroups::Layout& layout, const std::string& path);

// Whether the cgroup may come about while the child is at its mounts. In a v2 tree it is born; hooks of the runtime may look
// for its v1 directories.
bool made_meanwhile(const Spec& spec, const cgroups::Layout& layout);

// linux.resources with the devices that every container may use.
cgroups::Limits limits_with_devices(const Spec& spec);
// Sets them. Throws below a frozen cgroup, where nothing would start.
void limit(const cgroups::Cgroup& cgroup, const Spec& spec);

}  // namespace jigsaw::runtime
