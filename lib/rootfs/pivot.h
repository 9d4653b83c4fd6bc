// Changing the root: the container's "/" becomes the root of another mount, and the host's is let go.
//
//     make_private()                   what is mounted from here on stays in this mount namespace
//     root = bind_root("/srv/rootfs")  a mount of its own, not attached yet (a new overlay mount will do as well)
//     attach_root(root)                on top of "/", where nobody who is already inside sees it
//     … mounts, devices …              all relative to `root`
//     enter_root(root)                 pivot_root(".", "."): old and new root change places on one spot, and the old
//                                      one, now on top, is unmounted with all that hangs on it (pivot_root(2), NOTES)
//
// After that the host's files have no name any more, unlike after chroot(2), which a privileged process can leave.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace jigsaw::rootfs {

// Sets the propagation of every mount of this namespace, MS_PRIVATE unless told otherwise (MS_SLAVE, MS_SHARED: then
// "/" alone is made private, since nothing could be attached there else).
void make_private();
void set_propagation(uint64_t flag);

// Throws unless `path` is a directory: said early, in the words of who typed it. `remedy` is the command that makes one.
void require_directory(const std::string& path, std::string_view remedy);
// A detached bind mount of the directory `path` and what is mounted below it.
Fd bind_root(const std::string& path);
// The same for a directory that was opened already.
Fd bind_root(int directory, const std::string& shown);
void attach_root(int root);
// On top of the directory that it is a bind mount of: createContainer hooks look for the container's files there.
void attach_root(int root, int place, const std::string& shown);

enum class RootChange { kPivot, kMoveAndChroot };  // the second for an initramfs, whose root can't be moved
void enter_root(int root, RootChange how = RootChange::kPivot);

}  // namespace jigsaw::rootfs
