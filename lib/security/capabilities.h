// Capabilities: the power of root in some forty pieces (capabilities(7)). A process has five sets of them:
//
//     bounding     what it and its descendants can ever get        prctl(PR_CAPBSET_DROP)
//     permitted    what it may switch on                           capset(2)
//     effective    what is switched on                             capset(2)
//     inheritable  what a program with file capabilities inherits  capset(2)   empty for a container (CVE-2022-29162)
//     ambient      what any program inherits across execve         prctl(PR_CAP_AMBIENT)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sys.h"

namespace jigsaw::security {

// One bit for each capability.
using CapabilitySet = uint64_t;
inline constexpr CapabilitySet kSysAdmin = CapabilitySet{1} << 21;

struct Capabilities {
  CapabilitySet bounding = 0;
  CapabilitySet permitted = 0;
  CapabilitySet effective = 0;
  CapabilitySet inheritable = 0;
  CapabilitySet ambient = 0;
};

// "CAP_CHOWN", "chown" -> its number.
std::optional<int> capability_number(std::string_view name);
std::string capability_name(int number);  // "CAP_CHOWN"; "CAP_63" for one that we have no name for
std::vector<std::string> all_capability_names();
// Names to bits; unknown names are refused, or passed to `unknown` if there is one.
CapabilitySet parse_capabilities(const std::vector<std::string>& names, std::vector<std::string>* unknown = nullptr);
std::vector<std::string> names_of(CapabilitySet set);

// What docker and podman give a container by default, 14 of them.
CapabilitySet default_capabilities();
CapabilitySet every_capability();

// `base` changed by --cap-add and --cap-drop words ("ALL" too); drops come first.
CapabilitySet adjust(CapabilitySet base, const std::vector<std::string>& add, const std::vector<std::string>& drop);
// A container's process as `uid` with `set`: root has them permitted and effective, others only bounding.
Capabilities for_user(CapabilitySet set, uid_t uid);

// What of `wanted` the kernel lets a process have that has what we have now.
Capabilities grantable(const Capabilities& wanted);
// The steps of giving up power, in their order. Before the user is changed: the bounding set is cut, and the permitted
// set is kept over the change. What the kernel does not let us have is left out and named in a warning (runtime-spec,
// config.md, capabilities). Returns what is left of `wanted`.
Capabilities limit_bounding_and_keep(const Capabilities& wanted);
// After it: the other four sets as they shall be.
void set_capabilities(const Capabilities& capabilities);

}  // namespace jigsaw::security
