// Tree: what is done with single directories of a cgroup tree. Internal to lib/cgroups.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cgroups/cgroup.h"

namespace jigsaw::cgroups {

Fd open_tree_root(const Hierarchy& hierarchy);
// A directory below another one: follows no link, stays in this file system.
Fd open_below(int directory, const std::string& name, const std::string& shown);
// The cgroup's directory in this tree, if it is there.
std::optional<Place> open_place(const Hierarchy& hierarchy, std::string_view path);

// v2: enables controllers for the children of `parent` (cgroup.subtree_control). With an empty list all that it can
// give are tried, and none is missed; the named ones throw if they can't be enabled.
void enable_controllers(const Place& parent, const std::vector<std::string>& wanted);
// v1: a new cpuset has no CPUs and no memory nodes, and nobody may enter it: copies its parent's.
void inherit_cpuset(int parent, int child, const std::string& shown);

// Calls `enter` with a descriptor of a cgroup's directory, then of each below it, and `leave` with the parent and the name of each
// below it, the deepest first. It goes by one descriptor, down and by "..": what a container makes in its own cgroup may be
// deeper than a path is long or than there are descriptors.
void walk(const std::string& directory, const std::function<void(int cgroup)>& enter,
          const std::function<void(int parent, const std::string& name)>& leave);

// rmdir(2) with the cgroups below, trying again until `deadline` while the kernel says that it is busy.
void remove_directory(const std::string& directory, std::chrono::steady_clock::time_point deadline);

// The path in a text like /proc/PID/cgroup for one hierarchy; "/" if it is not listed.
std::string cgroup_in_table(std::string_view table, const Hierarchy& hierarchy);

}  // namespace jigsaw::cgroups
