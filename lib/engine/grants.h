// What of the host a container is given by run's options, from their texts: volumes, devices, names of other hosts.
// All of it is looked at before anything is made; the host's files are only looked at, never opened.
#pragma once

#include <string>
#include <vector>

#include "cgroups/limits.h"
#include "rootfs/devices.h"

namespace jigsaw::engine {

struct Volume {
  std::string source;       // absolute path on the host
  std::string destination;  // absolute path in the container
  bool read_only = false;
};
// "SOURCE:DESTINATION[:ro|rw]". A relative source is taken from the current directory. Throws.
Volume parse_volume(const std::string& text);

// A node of the host's that the container has too, and its leave to use it (r, w) or to make further ones (m).
struct GrantedDevice {
  rootfs::Device device;
  cgroups::DeviceRule rule;
};
// "SOURCE[:DESTINATION][:rwm]". A directory stands for all devices in it. Throws if there is none.
std::vector<GrantedDevice> parse_device(const std::string& text);

// "NAME:ADDRESS" or "NAME=ADDRESS" as a line of hosts(5). Throws if either is malformed.
std::string parse_host(const std::string& text);

}  // namespace jigsaw::engine
