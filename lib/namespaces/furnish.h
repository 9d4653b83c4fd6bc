// Furnish: most namespaces begin as a copy of their parent's or as an empty room. What each of them needs before a program
// can live in it is done by the child, which is in it, before the program is executed:
//
//   cgroup  the cgroup that it is in is made the root of all it sees of the tree    unshare(2), after it has joined its own
//   time    clocks that run as the host's get offsets, if asked for                 clocks.h
//   uts     a copy of the host's names gets a name of its own                       sethostname(2)
//   net     one device, the loopback, down, is brought up                           loopback.h
//
// (mnt: a root directory, see rootfs/pivot.h; user: id maps, which the parent writes, see id_maps.h.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "namespaces/options.h"

namespace jigsaw::namespaces {

// `set` are the namespaces that the caller is to have new, of which at_birth() are there; `name` its host name if the options
// give none.
void furnish(uint64_t set, const NamespaceOptions& options, const std::string& name);

// Throws unless the kernel takes `name` as a host name or domain name (1 to 64 bytes) and it stays one line in the files
// that hold it. `what` says whose it is in the message: "hostname".
void check_host_name(std::string_view what, std::string_view name);

}  // namespace jigsaw::namespaces
