#include "runtime/root.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sys.h"
#include "namespaces/id_maps.h"
#include "rootfs/devices.h"
#include "rootfs/pivot.h"
#include "rootfs/safe_path.h"
#include "runtime/cgroup_mount.h"
#include "runtime/id_mapped.h"
#include "runtime/join.h"
#include "runtime/kernel_check.h"

namespace jigsaw::runtime {
namespace {

bool shows_cgroups(const MountPoint& mount) {
  return mount.kind == rootfs::MountKind::kFileSystem && (mount.type == "cgroup" || mount.type == "cgroup2");
}

// Whether `path` or a directory that it lies in is one of `places`.
bool is_below(std::string_view path, const std::set<std::string, std::less<>>& places) {
  for (size_t end = path.size(); end != std::string_view::npos && end > 0; end = path.rfind('/', end - 1)) {
    if (places.contains(path.substr(0, end))) {
      return true;
    }
  }
  return false;
}

// Those that wait: what shows cgroups, and what lies below it.
std::vector<bool> come_late(const std::vector<MountPoint>& mounts) {
  std::vector<bool> late(mounts.size());
  std::set<std::string, std::less<>> above;
  for (size_t i = 0; i < mounts.size(); ++i) {
    const std::string path = rootfs::relative(mounts[i].destination);
    late[i] = shows_cgroups(mounts[i]) || (!above.empty() && is_below(path, above));
    if (shows_cgroups(mounts[i])) {
      above.insert(path);
    }
  }
  return late;
}

// File systems whose files have no labels of their own: SELinux lets them be labelled as a whole.
bool takes_label(const MountPoint& mount) {
  return mount.kind == rootfs::MountKind::kFileSystem && (mount.type == "tmpfs" || mount.type == "devpts");
}

void mount_one(Root& root, const Prepared& prepared, size_t index) {
  MountPoint mount = prepared.spec.mounts[index];
  const Fd& map = prepared.mount_maps[index];
  mount.user_namespace = map ? map.get() : -1;
  mount.source = mount_source(mount, prepared.surroundings.bundle);
  if (takes_label(mount) && !prepared.spec.mount_label.empty() && security_modules().selinux) {
    mount.options.push_back("context=" + prepared.spec.mount_label);
  }
  if (shows_cgroups(mount)) {
    return mount_cgroup_tree(root.fd(), mount, *prepared.cgroup);
  }
  // Further mounts and devices need their places in it first.
  const bool later = mount.type == "tmpfs" && mount.kind == rootfs::MountKind::kFileSystem &&
                     ((mount.set | mount.recursive_set) & MOUNT_ATTR_RDONLY) != 0;
  mount.set &= later ? ~uint64_t{MOUNT_ATTR_RDONLY} : ~uint64_t{0};
  mount.recursive_set &= later ? ~uint64_t{MOUNT_ATTR_RDONLY} : ~uint64_t{0};
  try {
    Fd inner;
    if (!prepared.outer_mounts[index]) {
      const bool of_others = mount.type == "proc" && mount.kind == rootfs::MountKind::kFileSystem && prepared.entered_last != nullptr;
      inner = of_others ? make_proc_of(*prepared.entered_last, mount, root.fd()) : rootfs::make_mount(mount);
    }
    const Fd& made = inner ? inner : prepared.outer_mounts[index];
    rootfs::attach(root.fd(), mount, made);
    if (rootfs::relative(mount.destination) == ".") {
      root.cover(made.get());
    }
    if (later) {
      root.read_only_later().push_back(std::move(inner));
    }
  } catch (Error& error) {
    throw std::move(error).in(fmt::format("mount {} on {}", mount.type.empty() || mount.kind != rootfs::MountKind::kFileSystem
                                                                ? mount.source : mount.type, mount.destination));
  }
}

void mount_those(Root& root, const Prepared& prepared, bool late) {
  if (!prepared.own_mounts) {
    return;
  }
  const std::vector<bool> waits = come_late(prepared.spec.mounts);
  for (size_t i = 0; i < waits.size(); ++i) {
    if (waits[i] == late) {
      mount_one(root, prepared, i);
    }
  }
}

// The usual ones and those of the spec; of two at the same path the later.
std::vector<rootfs::Device> wanted_devices(const Spec& spec, std::vector<rootfs::Device> usual) {
  usual.insert(usual.end(), spec.devices.begin(), spec.devices.end());
  std::set<std::string> later;
  std::vector<rootfs::Device> devices;
  for (size_t i = usual.size(); i-- > 0;) {
    if (later.insert(rootfs::relative(usual[i].path)).second) {
      devices.push_back(std::move(usual[i]));
    }
  }
  std::reverse(devices.begin(), devices.end());
  return devices;
}

}  // namespace

std::string root_path(const Spec& spec, const std::string& bundle) {
  return spec.root_path.starts_with('/') ? spec.root_path : fmt::format("{}/{}", bundle, spec.root_path);
}

Fd open_root(const Spec& spec, const std::string& bundle) {
  const std::string path = root_path(spec, bundle);
  const bool in_bundle = !spec.root_path.starts_with('/');
  try {
    // The bundle's own path has no links any more; what was unpacked there from elsewhere may name any directory of the host by one.
    return sys::openat2(AT_FDCWD, path, {.flags = O_PATH | O_DIRECTORY, .resolve = in_bundle ? uint64_t{RESOLVE_NO_SYMLINKS} : 0},
                        "the directory that is to be the container's root");
  } catch (const Error& error) {
    if (in_bundle && error.error_number() == ELOOP) {
      throw Error(fmt::format("root.path {} is a symbolic link, or leads through one", path), "give the directory itself, or an absolute path");
    }
    throw system_error(error.error_number(), fmt::format("root.path {}", path));
  }
}

bool has_own_mounts(const Spec& spec) {
  const auto mount = std::find_if(spec.namespaces.begin(), spec.namespaces.end(), [](const Namespace& each) { return each.kind == CLONE_NEWNS; });
  if (mount == spec.namespaces.end() || mount->path.empty()) {
    return mount != spec.namespaces.end();
  }
  struct stat theirs {};
  struct stat ours {};
  check(::stat(mount->path.c_str(), &theirs), "the mount namespace {}", mount->path);
  check(::stat("/proc/self/ns/mnt", &ours), "our mount namespace");
  return theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev;
}

Root make_root(const Prepared& prepared) {
  const Spec& spec = prepared.spec;
  if (!prepared.own_mounts) {
    return {open_root(spec, prepared.surroundings.bundle), std::nullopt};
  }
  const uint64_t propagation = spec.root_propagation & ~uint64_t{MS_REC};
  rootfs::set_propagation(propagation == MS_SHARED || propagation == MS_SLAVE ? MS_SLAVE : MS_PRIVATE);
  std::optional<rootfs::Masks> masks;
  if (!spec.masked_paths.empty()) {
    masks = rootfs::Masks::make();
  }
  if (prepared.surroundings.root_mount) {
    Fd root = prepared.surroundings.root_mount();
    rootfs::attach_root(root.get());
    return {std::move(root), std::move(masks)};
  }
  const Fd place = open_root(spec, prepared.surroundings.bundle);
  const std::string path = root_path(spec, prepared.surroundings.bundle);
  Fd root = rootfs::bind_root(place.get(), path);
  rootfs::attach_root(root.get(), place.get(), path);
  return {std::move(root), std::move(masks)};
}

void mount_all(Root& root, const Prepared& prepared) {
  mount_those(root, prepared, false);
}

void mount_cgroups(Root& root, const Prepared& prepared) {
  mount_those(root, prepared, true);
}

void make_devices(const Root& root, const Prepared& prepared) {
  const Spec& spec = prepared.spec;
  const bool host_dev = std::any_of(spec.mounts.begin(), spec.mounts.end(), [](const MountPoint& mount) {
    return rootfs::relative(mount.destination) == "dev" && mount.kind != rootfs::MountKind::kFileSystem;
  });
  const rootfs::DeviceMaking making =
      spec.has(CLONE_NEWUSER) || namespaces::in_user_namespace() ? rootfs::DeviceMaking::kBindFromHost
                                                                 : rootfs::DeviceMaking::kNodes;
  if (!prepared.own_mounts && making == rootfs::DeviceMaking::kBindFromHost) {
    return;  // neither to be made nor to be mounted: those that the root has are used
  }
  rootfs::make_devices(root.fd(), wanted_devices(spec, host_dev ? std::vector<rootfs::Device>{} : rootfs::default_devices()), making);
  if (!host_dev) {
    rootfs::make_device_links(root.fd());
  }
}

void enter_by_chroot(int root) {
  sys::fchdir(root, "the container's root", "chroot takes a path: stand where it is to be");
  sys::chroot(".", "the mounts are the caller's: only the name / changes its meaning");
  sys::chdir("/", "and we are in it");
}

void protect(Root& root, const Prepared& prepared) {
  const Spec& spec = prepared.spec;
  if (spec.process && rootfs::relative(spec.process->cwd) != ".") {
    try {
      rootfs::make_directory_in_root(root.fd(), spec.process->cwd, 0755, "the working directory may be missing");
    } catch (const Error& error) {
      log::debug("the working directory is left as it is: {}", error.message());
    }
  }
  if (!prepared.own_mounts) {
    return;
  }
  for (const Fd& mount : root.read_only_later()) {
    sys::mount_setattr(mount.get(), {.set = MOUNT_ATTR_RDONLY}, sys::Depth::kThisMount, "a tmpfs", "all is in it now that belongs there");
  }
  for (const std::string& path : spec.read_only_paths) {
    rootfs::make_read_only(root.fd(), path);
  }
  if (root.masks()) {
    root.masks()->cover(root.fd(), spec.masked_paths);
  }
  if (spec.root_read_only) {
    rootfs::make_read_only(root.fd(), "/");
  }
}

void enter(const Root& root, const Prepared& prepared) {
  if (!prepared.own_mounts) {
    return enter_by_chroot(root.fd());
  }
  rootfs::enter_root(root.fd(), prepared.surroundings.root_change);
  const uint64_t flag = prepared.spec.root_propagation;
  if (flag != 0) {
    sys::mount_setattr(root.fd(), {.propagation = flag & ~uint64_t{MS_REC}},
                       (flag & MS_REC) != 0 ? sys::Depth::kRecursive : sys::Depth::kThisMount, "/",
                       "rootfsPropagation, as config.json asks for it");
  }
}

}  // namespace jigsaw::runtime
