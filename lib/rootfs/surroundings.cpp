#include "rootfs/surroundings.h"

#include <sched.h>

#include "base/files.h"
#include "rootfs/devices.h"
#include "rootfs/mounts.h"

namespace jigsaw::rootfs {
namespace {

// The namespace that a file system shows, or 0.
uint64_t shown_by(const Mount& mount) { return mount.type == "proc" ? CLONE_NEWPID : mount.type == "mqueue" ? CLONE_NEWIPC : 0; }

}  // namespace

void mount_surroundings(int root, uint64_t namespaces) {
  const bool in_user_namespace = (namespaces & CLONE_NEWUSER) != 0;
  for (Mount& mount : default_mounts()) {
    if (mount.destination != "/proc" && !mount.destination.starts_with("/dev")) {
      continue;
    }
    if (in_user_namespace && (shown_by(mount) & ~namespaces) != 0) {
      if (!files::is_directory(mount.destination)) {
        continue;  // the host has none to show
      }
      mount.kind = MountKind::kRecursiveBind;
      mount.source = mount.destination;
    }
    attach(root, mount);
  }
  make_devices(root, default_devices(), in_user_namespace ? DeviceMaking::kBindFromHost : DeviceMaking::kNodes);
  make_device_links(root);
}

}  // namespace jigsaw::rootfs
