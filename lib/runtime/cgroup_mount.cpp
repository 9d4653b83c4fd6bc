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

constexpr const char* kWhy = "the container sees the cgroups below its own, and no others";
constexpr uint64_t kSecure = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// What shows one hierarchy: a mount of its own, which our cgroup namespace roots where we are. The host may refuse that
// in a user namespace; then the host's directory of our cgroup is bound.
Fd bind_directory(const cgroups::Place& place, uint64_t attributes) {
  Fd bound = sys::clone_mount(AT_FDCWD, place.directory, sys::Depth::kThisMount, kWhy);
  sys::mount_setattr(bound.get(), {.set = attributes}, sys::Depth::kThisMount, place.hierarchy.name(), kWhy);
  return bound;
}

Fd show(const cgroups::Place& place, uint64_t attributes, CgroupView view) {
  if (view == CgroupView::kDirectory) {
    return bind_directory(place, attributes);
  }
  const cgroups::Hierarchy& hierarchy = place.hierarchy;
  const bool v2 = hierarchy.version == cgroups::Version::kV2;
  std::vector<std::string> options;
  if (!v2) {
    for (const std::string& controller : hierarchy.controllers) {
      options.push_back(controller);
    }
    if (options.front().starts_with("name=")) {
      options.insert(options.begin(), "none");
    }
  }
  try {
    return sys::new_filesystem(v2 ? "cgroup2" : "cgroup", v2 ? "cgroup2" : "cgroup", options, attributes, kWhy);
  } catch (const Error& error) {
    if (error.error_number() != EPERM && error.error_number() != EBUSY) {
      throw;
    }
    return bind_directory(place, attributes);
  }
}

void mount_v1(int root, const MountPoint& mount, const cgroups::Cgroup& cgroup, CgroupView view) {
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
    sys::mkdirat(made.get(), name, 0755, kWhy);
    const Fd place = files::open_at(made.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    const Fd tree = show(each, mount.set | kSecure, view);
    sys::move_mount(tree.get(), place.get(), fmt::format("{}/{}", mount.destination, name), kWhy);
    for (const std::string& controller : hierarchy.controllers) {
      if (hierarchy.controllers.size() > 1 && controller != name) {
        sys::symlinkat(name, made.get(), controller, "a hierarchy with two controllers is known by both names");
      }
    }
  }
  if ((mount.set & MOUNT_ATTR_RDONLY) != 0) {
    sys::mount_setattr(made.get(), {.set = MOUNT_ATTR_RDONLY}, sys::Depth::kThisMount, mount.destination, kWhy);
  }
}

}  // namespace

void mount_cgroup_tree(int root, const MountPoint& mount, const cgroups::Cgroup& cgroup, CgroupView view) {
  const auto v2 = std::find_if(cgroup.places().begin(), cgroup.places().end(), [](const cgroups::Place& place) {
    return place.hierarchy.version == cgroups::Version::kV2;
  });
  const bool v1 = cgroup.places().size() > (v2 == cgroup.places().end() ? 0U : 1U);
  if (v1 && mount.type == "cgroup") {
    return mount_v1(root, mount, cgroup, view);
  }
  if (v2 == cgroup.places().end()) {
    throw fail("mount {}: this machine has no cgroup v2", mount.destination);
  }
  const Fd place = rootfs::make_directory_in_root(root, mount.destination, 0755, kWhy);
  const Fd tree = show(*v2, mount.set | kSecure, view);
  sys::move_mount(tree.get(), place.get(), mount.destination, kWhy);
}

}  // namespace jigsaw::runtime
