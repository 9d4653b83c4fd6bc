// Set-up: the answer to "what is a container?", as one list. The child of the clone goes through it from top to
// bottom, and at its end is the container's program.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cgroups/cgroup.h"
#include "namespaces/enter.h"
#include "process/spawn.h"
#include "runtime/container.h"
#include "runtime/listener.h"
#include "runtime/net_devices.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {

// What the parent opened and computed before the clone, for the child to use.
struct Prepared {
  const Spec& spec;
  const Surroundings& surroundings;
  uint64_t cloned = 0;                          // the namespaces that the clone itself makes
  std::vector<namespaces::Opened> joined;       // those that exist, in the order to enter them
  const namespaces::Opened* entered_last = nullptr;  // of these, the one that a successor is born in (join.h)
  cgroups::Cgroup* cgroup = nullptr;
  bool cgroup_meanwhile = false;                // the parent makes its v1 directories while the child is at its mounts
  std::optional<security::SeccompProgram> filter;
  std::optional<Listener> listener;             // the agent that the filter asks
  std::vector<NetDevice> net_devices;           // of the host, to be the container's
  std::vector<Fd> outer_mounts;                 // those that can't be made inside, empty for the others
  std::vector<Fd> mount_maps;                   // a user namespace for each id-mapped mount, -1 for the others
  Fd start_socket;                              // where the child waits to be started; none: it does not wait
  bool dies_with_parent = false;
  bool own_mounts = true;                       // false: the mount namespace is the caller's
  State state;                                  // for hooks
};

// The stops at which the parent acts while the child waits.
inline constexpr const char* kStopRuntimeHooks = "ready for the runtime's hooks";
inline constexpr const char* kStopCreated = "created";

// The child's side, from the gate to the program. Returns only by throwing.
[[noreturn]] void become_container(const Prepared& prepared, process::Gate& gate);

}  // namespace jigsaw::runtime
