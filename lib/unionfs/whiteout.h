// Whiteouts: how a layer says that something below it is gone.
//
// The layers below are never written, so a removal must be an entry of its own in the layer above:
//
//   whiteout       a character device 0:0 with the name of what is removed
//   opaque         the extended attribute trusted.overlay.opaque=y on a directory: nothing below shows through it
//
// A process in a user namespace may not write trusted.* attributes; an overlay mounted with `userxattr` reads
// user.overlay.* instead. (The tar form of an image layer says the same with files named .wh.NAME and .wh..wh..opq.)
// Kernel documentation: filesystems/overlayfs, "whiteouts and opaque directories".
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "base/sys.h"

namespace jigsaw::unionfs {

enum class Xattrs { kTrusted, kUser };
// kUser without root's privilege, or in a user namespace (the id map is not the identity over all ids); else kTrusted.
Xattrs usable_xattrs();
std::string opaque_attribute(Xattrs xattrs);  // "trusted.overlay.opaque" or "user.overlay.opaque"
// Whether an extended attribute is overlayfs' own bookkeeping, which no image layer may hold.
bool is_overlay_attribute(std::string_view name);

bool is_whiteout(const struct stat& status);
// A whiteout for `name` in the directory opened at `directory`. Throws if something of that name is there.
void make_whiteout(int directory, const std::string& name,
                   sys::Why why = "a character device 0:0 hides what the layers below have under this name");

// `directory` is a descriptor that can be read (not O_PATH).
bool is_opaque(int directory, Xattrs xattrs);
void make_opaque(int directory, Xattrs xattrs, std::string_view name,
                 sys::Why why = "nothing of the layers below may show through this directory");

}  // namespace jigsaw::unionfs
