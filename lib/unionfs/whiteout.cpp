#include "unionfs/whiteout.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::unionfs {

Xattrs usable_xattrs() {
  const std::string map = files::read("/proc/self/uid_map");
  const auto fields = text::words(map);
  const bool initial = fields.size() == 3 && fields[0] == "0" && fields[1] == "0" && fields[2] == "4294967295";
  return initial && ::geteuid() == 0 ? Xattrs::kTrusted : Xattrs::kUser;
}

std::string opaque_attribute(Xattrs xattrs) {
  return xattrs == Xattrs::kTrusted ? "trusted.overlay.opaque" : "user.overlay.opaque";
}

bool is_overlay_attribute(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.");
}

bool is_whiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0); }

void make_whiteout(int directory, const std::string& name, sys::Why why) {
  sys::mknodat(directory, name, S_IFCHR, makedev(0, 0), why);
}

bool is_opaque(int directory, Xattrs xattrs) {
  char value[2] = {};
  const ssize_t got = ::fgetxattr(directory, opaque_attribute(xattrs).c_str(), value, sizeof value);
  return got == 1 && value[0] == 'y';
}

void make_opaque(int directory, Xattrs xattrs, std::string_view name, sys::Why why) {
  sys::fsetxattr(directory, opaque_attribute(xattrs), "y", name, why);
}

}  // namespace jigsaw::unionfs
