#include "rootfs/mounts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "rootfs/copy_up.h"
#include "rootfs/safe_path.h"

namespace jigsaw::rootfs {
namespace {

constexpr uint64_t kSecure = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

bool is_bind(const Mount& mount) { return mount.kind != MountKind::kFileSystem; }

void set_attributes(int fd, const Mount& mount) {
  // A new file system was born with its own attributes; a bind mount starts with its source's.
  const uint64_t set = is_bind(mount) ? mount.set : 0;
  const uint64_t clear = is_bind(mount) ? mount.clear : 0;
  if ((set | clear) != 0) {
    sys::mount_setattr(fd, {.set = set, .clear = clear}, sys::Depth::kThisMount, mount.destination,
                       "what the container may do with this mount is settled before it can be reached");
  }
  if ((mount.recursive_set | mount.recursive_clear) != 0) {
    sys::mount_setattr(fd, {.set = mount.recursive_set, .clear = mount.recursive_clear}, sys::Depth::kRecursive,
                       mount.destination, "the same for the mounts below it");
  }
  if (mount.user_namespace >= 0) {
    sys::mount_setattr(fd, {.set = MOUNT_ATTR_IDMAP, .user_namespace = mount.user_namespace},
                       mount.id_map_recursive ? sys::Depth::kRecursive : sys::Depth::kThisMount, mount.destination,
                       "owners on disk are shown shifted by this map");
  }
}

Fd bind_source(const Mount& mount) {
  const sys::Depth depth = mount.kind == MountKind::kRecursiveBind ? sys::Depth::kRecursive : sys::Depth::kThisMount;
  constexpr const char* kWhy = "a directory or file of the host, shown in the container";
  if (mount.opened_source >= 0) {
    return sys::clone_mount(mount.opened_source, "", depth, kWhy);
  }
  if (mount.keep_source_link) {
    return sys::clone_mount(files::open(mount.source, O_PATH | O_NOFOLLOW).get(), "", depth, kWhy);
  }
  return sys::clone_mount(AT_FDCWD, mount.source, depth, kWhy);
}

Fd open_destination(int root, const Mount& mount, int made) {
  constexpr const char* kWhy = "the place of a mount, looked up without ever leaving the root";
  if (mount.type == "proc" || mount.type == "sysfs" || (mount.type == "tmpfs" && relative(mount.destination) == "dev")) {
    return make_directory_in_root(root, mount.destination, 0755, kWhy, Links::kRefuse);
  }
  struct stat status {};
  check(::fstat(made, &status), "stat {}", mount.source);
  return S_ISDIR(status.st_mode) ? make_directory_in_root(root, mount.destination, 0755, kWhy)
                                 : make_file_in_root(root, mount.destination, 0644, kWhy);
}

bool gives_mode(const Mount& mount) {
  return std::any_of(mount.options.begin(), mount.options.end(), [](const std::string& option) { return option.starts_with("mode="); });
}

// A tmpfs of which nothing else is said looks like the directory that it covers.
void take_mode(int covered, int made, const std::string& name) {
  struct stat status {};
  check(::fstat(covered, &status), "stat {}", name);
  const Fd top = files::open_at(made, ".", O_RDONLY | O_DIRECTORY);
  sys::fchmod(top.get(), status.st_mode & 07777, name, "the mode of the directory that it covers");
}

// The host's sysfs came with the host's tree of cgroups.
void hide_cgroups(int root, const Mount& mount) {
  constexpr const char* kWhy = "the cgroups of the host are not the container's business";
  const auto place = find_in_root(root, mount.destination + "/fs/cgroup", O_PATH | O_DIRECTORY, kWhy, Links::kRefuse);
  struct statfs system {};
  if (!place || ::fstatfs(place->get(), &system) != 0 || system.f_type == SYSFS_MAGIC) {
    return;
  }
  const std::vector<std::string> options = {"mode=755", "size=4k"};
  const Fd cover = sys::new_filesystem("tmpfs", "jigsaw-mask", options, kSecure | MOUNT_ATTR_RDONLY, kWhy);
  sys::move_mount(cover.get(), place->get(), mount.destination + "/fs/cgroup", kWhy);
}

}  // namespace

Fd make_mount(const Mount& mount) {
  if (is_bind(mount)) {
    Fd made = bind_source(mount);
    set_attributes(made.get(), mount);
    return made;
  }
  try {
    Fd made = sys::new_filesystem(mount.type, mount.source, mount.options, mount.set, "a file system of the container's own");
    set_attributes(made.get(), mount);
    return made;
  } catch (const Error& error) {
    if (mount.type != "sysfs" || error.error_number() != EPERM) {
      throw;
    }
  }
  // A sysfs shows the devices of a network namespace, and only who owns that may mount one: show the host's instead.
  Mount host = mount;
  host.kind = MountKind::kRecursiveBind;
  host.source = "/sys";
  host.recursive_set |= host.set;  // what is mounted below it is the host's as well
  return make_mount(host);
}

void attach(int root, const Mount& mount, const Fd& made) {
  const Fd place = open_destination(root, mount, made.get());
  if (mount.copy_up) {
    copy_tree(place.get(), made.get());
  } else if (mount.type == "tmpfs" && !is_bind(mount) && !gives_mode(mount)) {
    take_mode(place.get(), made.get(), mount.destination);
  }
  sys::move_mount(made.get(), place.get(), mount.destination, "from here on it is part of the container's tree");
  for (const uint64_t flag : mount.propagation) {
    sys::mount_setattr(made.get(), {.propagation = flag & ~uint64_t{MS_REC}},
                       (flag & MS_REC) != 0 ? sys::Depth::kRecursive : sys::Depth::kThisMount, mount.destination,
                       "whether mounts made below it later are seen elsewhere");
  }
  if (mount.type == "sysfs" && !is_bind(mount)) {
    hide_cgroups(root, mount);
  }
}

void attach(int root, const Mount& mount) { attach(root, mount, make_mount(mount)); }

std::vector<Mount> default_mounts() {
  return {
      {.destination = "/proc", .type = "proc", .source = "proc", .set = kSecure},
      {.destination = "/dev", .type = "tmpfs", .source = "tmpfs", .options = {"mode=755", "size=65536k"},
       .set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME},
      {.destination = "/dev/pts", .type = "devpts", .source = "devpts",
       .options = {"newinstance", "ptmxmode=0666", "mode=0620"}, .set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
      {.destination = "/dev/shm", .type = "tmpfs", .source = "shm", .options = {"mode=1777", "size=65536k"}, .set = kSecure},
      {.destination = "/dev/mqueue", .type = "mqueue", .source = "mqueue", .set = kSecure},
      {.destination = "/sys", .type = "sysfs", .source = "sysfs", .set = kSecure | MOUNT_ATTR_RDONLY},
  };
}

void make_read_only(int root, const std::string& path) {
  constexpr const char* kWhy = "readable, but not to be written";
  if (relative(path) == ".") {
    return sys::mount_setattr(root, {.set = MOUNT_ATTR_RDONLY}, sys::Depth::kThisMount, "/", kWhy);
  }
  const auto place = find_in_root(root, path, O_PATH, kWhy);
  if (!place) {
    return;
  }
  const Fd copy = sys::clone_mount(place->get(), "", sys::Depth::kRecursive, kWhy);
  sys::mount_setattr(copy.get(), {.set = MOUNT_ATTR_RDONLY}, sys::Depth::kRecursive, path, kWhy);
  sys::move_mount(copy.get(), place->get(), path, kWhy);
}

}  // namespace jigsaw::rootfs
