// Device files of a container: the few that every program expects (null, zero, full, random, urandom, tty), and those
// its configuration adds. All work is done relative to a descriptor of a directory inside the root, so a /dev that is
// a link leads nowhere (CVE-2026-41579). mknod(2), or a bind mount of the host's file where that is forbidden (in a
// user namespace).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace jigsaw::rootfs {

struct Device {
  std::string path;  // "/dev/null"
  char type = 'c';   // 'c', 'b', 'u' (as c), 'p' (a FIFO)
  uint32_t major = 0;
  uint32_t minor = 0;
  mode_t mode = 0666;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string source{};  // the host's path, where it has to be bound; "": the same
};

std::vector<Device> default_devices();

enum class DeviceMaking { kNodes, kBindFromHost };
// Makes them, with the directories they need. One that is there already and is the same device is left as it is; another
// file in its place is an error.
void make_devices(int root, std::span<const Device> devices, DeviceMaking making);

// /dev/fd, stdin, stdout, stderr and ptmx: links into /proc and /dev/pts. Existing names are left alone.
void make_device_links(int root);

}  // namespace jigsaw::rootfs
