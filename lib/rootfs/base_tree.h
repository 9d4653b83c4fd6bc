// The base root file system, as data in the program: a busybox (one static program that is all of sh, ls, ps, mount …
// by the name it is called with) and the few files that programs expect. Everything in this project runs on it without
// a network: the steps write it as a directory or as layers, image/base makes the image jigsaw/base of it.
//
//   layer 1  busybox   /bin/busybox and a link for each of its names
//   layer 2  system    /etc/passwd, group, hosts …, empty /proc /sys /dev /tmp /root /var
//   layer 3  jigsaw    /etc/os-release, motd, profile
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/journal.h"

namespace jigsaw::rootfs {

struct BaseEntry {
  enum class Kind { kDirectory, kFile, kSymlink };
  Kind kind = Kind::kFile;
  std::string path;  // "bin/busybox", relative to the root; a directory comes before what is in it
  mode_t mode = 0644;
  std::string_view content;  // of a file; the target of a link
};

struct BaseLayer {
  std::string name;     // "busybox"
  std::string comment;  // one line, for the image's history
  std::vector<BaseEntry> entries;
};

// Bottom first. All entries belong to root; a layer names every directory that it puts something into.
std::vector<BaseLayer> base_layers();

// All layers in one directory: a root file system. The directory must be empty or not there yet, and ends whole or as it
// was; `record` undoes what is made on the way.
void write_base_rootfs(const std::string& directory, journal::Record& record);
// Each layer in a directory of its own below `directory`, named so that they sort bottom first: "1-busybox", …
void write_base_layers(const std::string& directory, journal::Record& record);

}  // namespace jigsaw::rootfs
