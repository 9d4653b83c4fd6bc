// Layout: where this machine keeps its cgroups. Read from /proc/self/mountinfo and /proc/self/cgroup (cgroups(7)).
//
//     v1       one tree per controller        /sys/fs/cgroup/memory, /sys/fs/cgroup/cpu,cpuacct, …
//     v2       one tree for all of them       /sys/fs/cgroup
//     hybrid   both: v1 trees, and a v2 tree  /sys/fs/cgroup/unified
//
// A controller lives in exactly one tree, so the question "v1 or v2?" is asked per controller, never for the machine.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::cgroups {

enum class Version { kV1, kV2 };

struct Hierarchy {
  Version version = Version::kV2;
  std::vector<std::string> controllers;  // v1: "cpu", "cpuacct" or "name=systemd"; v2: cgroup.controllers of its root
  std::string mount_point;               // "/sys/fs/cgroup/memory"
  std::string mount_root;                // the cgroup that is visible there, "/" unless we are in a container
  std::string own;                       // the cgroup of this process, as /proc/self/cgroup says it

  bool has(std::string_view controller) const;
  std::string name() const;  // "memory", "cpu,cpuacct", "unified"
  // A cgroup's directory: "/a" -> "/sys/fs/cgroup/memory/a". Paths are as /proc/self/cgroup shows them.
  std::string directory(std::string_view cgroup) const;
};

struct Layout {
  std::vector<Hierarchy> hierarchies;

  // The tree that holds a controller, under its v1 or v2 name ("io" and "blkio" are the same). Absent: no tree does.
  const Hierarchy* find(std::string_view controller) const;
  const Hierarchy* unified() const;  // the v2 tree
  Layout only(Version version) const;
  // "cgroup v2", "cgroup v1", "cgroup v1 and v2 (hybrid)" or "no cgroups", for people.
  std::string describe() const;
};

// `root` stands before every path that is read: "" for this machine, a directory with a fake tree in tests.
Layout read_layout(const std::string& root = "");

// A cgroup's path in one form: a leading slash, no doubled ones, no "." parts. Throws on "..", control bytes, an empty path or
// the root itself: what a config.json or an annotation says must stay below the tree's root.
std::string clean_path(std::string_view path);

// The highest ancestor of this process's v2 cgroup in which this user may make cgroups: what systemd delegated to a
// rootless user. Absent if there is none.
std::optional<std::string> delegated_cgroup(const Layout& layout);

// Where a cgroup called `name` goes unless it is said: "/NAME"; for a user without privilege below what was delegated.
// One level only: there is no parent that would have to be shared, or be left behind.
std::string usual_path(const Layout& layout, std::string_view name);
// Whether we may make the cgroup `path` in every tree, as far as the permissions of the directories above tell.
bool may_create(const Layout& layout, std::string_view path);

}  // namespace jigsaw::cgroups
