// Overlay: one file system made of many directories.
//
//      merged   /bin/sh  /etc/motd(new)  /tmp/x         what the container sees
//     --------------------------------------------
//      upper             /etc/motd       /tmp/x         written by this container alone (copy-up on first write)
//      lower 1           /etc/hosts                     read only, shared by all containers of the image
//      lower 2  /bin/sh  /etc/motd(old)                 read only
//
// mount_overlay() gives a *detached* mount: a descriptor that is attached nowhere yet, so that nothing appears in the
// host's mount table even for a moment, and that goes away by itself if the program dies. Attach it with
// sys::move_mount().
//
// Two ways lead there. fsconfig(2) takes the lowers one by one ("lowerdir+", Linux 6.8). Before that all of them had to
// fit in the one page of options of mount(2); there a tmpfs with links named 0, 1, 2 … to the lowers, in a mount
// namespace of its own, makes hundreds of layers fit. Kernel documentation: filesystems/overlayfs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/sys.h"
#include "unionfs/whiteout.h"

namespace jigsaw::unionfs {

inline constexpr size_t kMaxLowers = 500;  // OVL_MAX_STACK in the kernel

struct Overlay {
  std::vector<std::string> lowers;  // absolute paths, the top one first; at least one
  std::string upper;                // where changes go; "" for a read-only stack
  std::string work;                 // an empty directory on the file system of `upper`, the kernel's scratch room
  // Which attributes mark an opaque directory; without a value the ones that this process may use.
  std::optional<Xattrs> xattrs;
  // Do not sync the upper to the disk: for changes that nobody needs after a power cut. The kernel refuses to mount the
  // same upper again after a crash until work/work/incompat/volatile is removed.
  bool is_volatile = false;
  enum class Route { kAutomatic, kFsconfig, kMountOptions };
  Route route = Route::kAutomatic;  // tests take both on every kernel
};

// By uname(2).
bool kernel_is_at_least(int major, int minor);

// The stack as a mount that is attached nowhere. One lower without an upper is a read-only bind mount of it, which the
// kernel has no overlay for. No path needs escaping. Throws with the reason if the kernel refuses (see hints).
// The calling process must have a single thread: the older route visits a mount namespace of its own and comes back.
Fd mount_overlay(const Overlay& overlay, sys::Why why = "the layers of the image as one file system");

}  // namespace jigsaw::unionfs
