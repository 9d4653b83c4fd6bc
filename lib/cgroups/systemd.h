// systemd as the keeper of the cgroups. Where it rules the tree (one writer per cgroup, says its documentation), a container's
// cgroup should be a *scope* unit that systemd makes on request: StartTransientUnit over D-Bus, with the pid that is to be in
// it and the limits as properties. See org.freedesktop.systemd1(5), systemd.resource-control(5).
//
// Here is only the arithmetic: names, paths and properties as text. The call itself is made by jigsaw-sdbus, a program of its own,
// so that libsystemd is not in everybody's way.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cgroups/layout.h"
#include "cgroups/limits.h"

namespace jigsaw::cgroups {

struct Scope {
  enum class Keeper { kSystem, kUser };
  Keeper keeper = Keeper::kSystem;
  std::string slice;  // "user-1000.slice"
  std::string unit;   // "jigsaw-web.scope"
  std::string path;   // "/user.slice/user-1000.slice/jigsaw-web.scope"; for a user's systemd below its own cgroup
};

// From OCI's cgroupsPath in its systemd form "slice:prefix:name", or "" for the usual one. A slice's name holds its place: a-b.slice
// is in a.slice.
Scope parse_scope(std::string_view cgroups_path, std::string_view id, Scope::Keeper keeper);

// The limits that systemd should know of, so that it does not undo them at its next reload: "MemoryMax=t:67108864", with D-Bus's
// letter for the type. `version` is that of the tree that holds the controllers. All other limits stay files.
std::vector<std::string> scope_properties(const Limits& limits, Version version);
// Annotations org.systemd.property.NAME: VALUE, with VALUE a number, true, false or a quoted text as OCI runtimes take them.
std::vector<std::string> annotated_properties(const std::map<std::string, std::string>& annotations);

// The words for jigsaw-sdbus, after its own name.
std::vector<std::string> start_scope_command(const Scope& scope, pid_t pid, const std::vector<std::string>& properties);
std::vector<std::string> set_scope_command(const Scope& scope, const std::vector<std::string>& properties);
std::vector<std::string> stop_scope_command(const Scope& scope);

}  // namespace jigsaw::cgroups
