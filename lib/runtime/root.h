// The container's file system: its root, its mounts, its devices, and what is hidden or read-only in it.
#pragma once

#include <optional>
#include <vector>

#include "base/fd.h"
#include "rootfs/masks.h"
#include "runtime/setup.h"

namespace jigsaw::runtime {

// The root while it is being built: attached in our mount namespace, not entered yet.
class Root {
 public:
  Root(Fd fd, std::optional<rootfs::Masks> masks) : fd_(std::move(fd)), masks_(std::move(masks)) {}
  int fd() const { return fd_.get(); }
  // A mount was put on it: from here on that is the root.
  void cover(int mount) { fd_ = duplicate(mount); }
  std::optional<rootfs::Masks>& masks() { return masks_; }
  // Mounts that become read-only when all is in them that belongs there.
  std::vector<Fd>& read_only_later() { return read_only_later_; }

 private:
  Fd fd_;
  std::optional<rootfs::Masks> masks_;
  std::vector<Fd> read_only_later_;
};

// The path of the root as the spec and the bundle give it.
std::string root_path(const Spec& spec, const std::string& bundle);

// Opens it. Relative to the bundle, it may not be a symbolic link.
Fd open_root(const Spec& spec, const std::string& bundle);

// Whether the container has a mount namespace of its own, not that of whoever calls us. Without one it is only
// chroot(2)ed: what would be mounted for it would be mounted on the host.
bool has_own_mounts(const Spec& spec);

Root make_root(const Prepared& prepared);
// All mounts in their order, but those that show cgroups: what they show depends on the cgroup we are in.
void mount_all(Root& root, const Prepared& prepared);
void mount_cgroups(Root& root, const Prepared& prepared);
void make_devices(const Root& root, const Prepared& prepared);
// Read-only and masked paths, the working directory, and the root itself read-only if asked for.
void protect(Root& root, const Prepared& prepared);
// What a container without a mount namespace of its own does instead.
void enter_by_chroot(int root);
// The root becomes "/".
void enter(const Root& root, const Prepared& prepared);

}  // namespace jigsaw::runtime
