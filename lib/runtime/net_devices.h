// Network devices of the host that move into the container's network namespace (config-linux.md, "Network Devices"):
// a device goes down, moves, perhaps with a new name, gets its addresses back and goes up again. rtnetlink(7).
//
// The host's side looks at them before anything is made, and moves them while the child waits at its gate; the
// container's side configures them. When the container's network namespace ends, the kernel gives hardware back to the
// host and removes what is virtual.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace jigsaw::runtime {

struct NetAddress {
  unsigned char family = 0;  // AF_INET, AF_INET6
  unsigned char prefix = 0;
  unsigned char scope = 0;
  std::string local;      // bytes, as the kernel gave them
  std::string peer;       // the same for the other end of a point-to-point device, else the address again
  std::string broadcast;  // IPv4 only
};

struct NetDevice {
  std::string name;    // on the host
  std::string inside;  // in the container
  int index = 0;       // on the host
  std::vector<NetAddress> addresses;  // those that were set for good and reach further than the link
};

// The devices with their addresses. Throws if one is missing or can't leave.
std::vector<NetDevice> find_net_devices(const std::map<std::string, std::string>& names);
// From the host, into the network namespace of `pid`.
void move_net_devices(const std::vector<NetDevice>& devices, pid_t pid);
// In that network namespace.
void configure_net_devices(const std::vector<NetDevice>& devices);

}  // namespace jigsaw::runtime
