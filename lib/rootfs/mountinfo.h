// The mount table as /proc/self/mountinfo shows it (proc(5)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::rootfs {

struct MountEntry {
  int id = 0;
  int parent = 0;
  std::string root;         // what part of the file system is mounted: "/" unless it is a bind mount
  std::string target;       // where, as seen from our root
  std::string options;      // "rw,nosuid"
  std::string propagation;  // "shared:1 master:2"; "" if private
  std::string type;         // "ext4"
  std::string source;       // "/dev/vda"
  std::string super_options;
};

std::vector<MountEntry> parse_mountinfo(std::string_view text);
// `process` is a pid or "self".
std::vector<MountEntry> mount_table(const std::string& process = "self");

}  // namespace jigsaw::rootfs
