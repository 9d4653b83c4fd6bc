#include "runtime/cgroup_mount.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cgroups/layout.h"
#include "rootfs/safe_path.h"

namespace jigsaw::runtime {
namespace {

constexpr const char* kWhyItsOwn = "the container sees the cgroups below its own, and no others";
constexpr uint64_t kSecure = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// What shows one hierarchy: the host's directory of our cgroup. In a cgroup namespace, which is rooted there, it is what a
// mount of the hierarchy would show, without a superblock for each.
Fd show(const cgroups::Place& place, uint64_t attributes) {
  Fd bound = sys::clone_mount(AT_FDCWD, place.directory, sys::Depth::kThisMount, kWhyItsOwn);
  sys::mount_setattr(bound.get(), {.set = attributes}, sys::Depth::kThisMount, place.hierarchy.name(), kWhyItsOwn);
  return bound;
}

void mount_v1(int root, const MountPoint& mount, const cgroups::Cgroup& cgroup) {
  rootfs::Mount base{.destination = mount.destination, .type = "tmpfs", .source = "tmpfs", .options = {"mode=755"},
                     .set = kSecure};
  const Fd made = rootfs::make_mount(base);
  rootfs::attach(root, base, made);
  for (const cgroups::Place& each : cgroup.places()) {
    const cgroups::Hierarchy& hierarchy = each.hierarchy;
    std::string name = hierarchy.name();
    if (hierarchy.mount_point.rfind('/') != std::string::npos) {
      name = hierarchy.mount_point.substr(hierarchy.mount_point.rfind('/') + 1);
    }
    sys::mkdirat(made.get(), name, 0755, kWhyItsOwn);
    const Fd place = files::open_at(made.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    const Fd tree = show(each, mount.set | kSecure);
    sys::move_mount(tree.get(), place.get(), fmt::format("{}/{}", mount.destination, name), kWhyItsOwn);
    for (const std::string& controller : hierarchy.controllers) {
      if (hierarchy.controllers.size() > 1 && controller != name) {
        sys::symlinkat(name, made.get(), controller, "a hierarchy with two controllers is known by both names");
      }
    }
  }
  if ((mount.set & MOUNT_ATTR_RDONLY) != 0) {
    sys::mount_setattr(made.get(), {.set = MOUNT_ATTR_RDONLY}, sys::Depth::kThisMount, mount.destination, kWhyItsOwn);
  }
}

}  // namespace

void mount_cgroup_tree(int root, const MountPoint& mount, const cgroups::Cgroup& cgroup) {
  const auto v2 = std::find_if(cgroup.places().begin(), cgroup.places().end(), [](const cgroups::Place& place) {
    return place.hierarchy.version == cgroups::Version::kV2;
  });
  const bool v1 = cgroup.places().size() > (v2 == cgroup.places().end() ? 0U : 1U);
  if (v1 && mount.type == "cgroup") {
    return mount_v1(root, mount, cgroup);
  }
  if (v2 == cgroup.places().end()) {
    throw fail("mount {}: this machine has no cgroup v2", mount.destination);
  }
  const Fd place = rootfs::make_directory_in_root(root, mount.destination, 0755, kWhyItsOwn);
  const Fd tree = show(*v2, mount.set | kSecure);
  sys::move_mount(tree.get(), place.get(), mount.destination, kWhyItsOwn);
}

}  // namespace jigsaw::runtime
