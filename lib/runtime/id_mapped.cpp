#include "runtime/id_mapped.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "namespaces/id_maps.h"
#include "process/spawn.h"
#include "runtime/root.h"

namespace jigsaw::runtime {
namespace {

Fd make_user_namespace(const namespaces::IdMaps& maps) {
  // The child waits at its gate and is killed there: it only lends its namespace.
  process::Child child = process::spawn({.namespaces = CLONE_NEWUSER, .why = "a user namespace that is only a map of ids"},
                                        [](process::Gate&) { return 0; });
  namespaces::write_id_maps(child.pid(), maps);
  return files::open(fmt::format("/proc/{}/ns/user", child.pid()), O_RDONLY);
}

}  // namespace

std::vector<Fd> make_mount_maps(const Spec& spec) {
  std::vector<Fd> maps(spec.mounts.size());
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    const MountPoint& mount = spec.mounts[i];
    if (!mount.id_maps.uids.empty()) {
      maps[i] = make_user_namespace(mount.id_maps);
    } else if (mount.id_map && !spec.id_maps.uids.empty()) {  // without a map of its own it is the container's
      maps[i] = make_user_namespace(spec.id_maps);
    }
  }
  return maps;
}

std::string mount_source(const MountPoint& mount, const std::string& bundle) {
  const bool relative = mount.kind != rootfs::MountKind::kFileSystem && !mount.source.starts_with('/');
  return relative ? fmt::format("{}/{}", bundle, mount.source) : mount.source;
}

std::vector<Fd> make_outer_mounts(const Spec& spec, const std::string& bundle, const std::vector<Fd>& maps) {
  std::vector<Fd> made(spec.mounts.size());
  if (!spec.has(CLONE_NEWUSER) || ::geteuid() != 0 || !has_own_mounts(spec)) {
    return made;
  }
  const uint64_t wanted = spec.root_propagation & ~uint64_t{MS_REC};
  const uint64_t propagation = wanted == MS_SHARED || wanted == MS_SLAVE ? MS_SLAVE : MS_PRIVATE;
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    if (spec.mounts[i].kind == rootfs::MountKind::kFileSystem) {
      continue;
    }
    MountPoint mount = spec.mounts[i];
    mount.source = mount_source(mount, bundle);
    mount.user_namespace = maps[i] ? maps[i].get() : -1;
    try {
      made[i] = rootfs::make_mount(mount);
    } catch (Error& error) {
      throw std::move(error).in(fmt::format("mount {} on {}", mount.source, mount.destination));
    }
    sys::mount_setattr(made[i].get(), {.propagation = propagation}, sys::Depth::kRecursive, mount.destination,
                       "nothing that is mounted below it later shows up on the host");
  }
  return made;
}

}  // namespace jigsaw::runtime
