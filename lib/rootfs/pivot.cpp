#include "rootfs/pivot.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "base/error.h"
#include "base/explain.h"
#include "base/files.h"
#include "base/sys.h"
#include "rootfs/mountinfo.h"

namespace jigsaw::rootfs {
namespace {

// EINVAL stands for four different mistakes; only one of them is true.
std::string why_pivot_failed(int root) {
  const MountEntry* above = nullptr;
  const auto table = mount_table();
  for (const MountEntry& entry : table) {
    above = entry.target == "/" ? &entry : above;
  }
  struct stat here {};
  struct stat parent {};
  if (::fstat(root, &here) == 0 && ::stat("/", &parent) == 0 && here.st_dev == parent.st_dev &&
      here.st_ino == parent.st_ino) {
    return "the new root is the present root";
  }
  if (above != nullptr && above->type == "rootfs") {
    return "the present root is the initramfs, which can't be moved: boot from a disk, or take jigsaw-oci --no-pivot";
  }
  if (above != nullptr && above->propagation.find("shared:") != std::string::npos) {
    return "the mount at / is shared: make it private first";
  }
  return "the new root must be a mount point below the present root";
}

// The mounts of `table` that are neither the old root itself nor part of the new one, those on top first.
std::vector<MountEntry> mounts_to_leave(const std::vector<MountEntry>& table, int root) {
  struct statx status {};
  check(::statx(root, "", AT_EMPTY_PATH, STATX_MNT_ID, &status), "stat the new root");
  std::set<int> kept = {static_cast<int>(status.stx_mnt_id)};
  std::vector<MountEntry> result;
  for (const MountEntry& entry : table) {
    if (kept.contains(entry.parent)) {
      kept.insert(entry.id);
    } else if (!kept.contains(entry.id) && entry.target != "/") {
      result.insert(result.begin(), entry);
    }
  }
  return result;
}

// The old root is beneath the new one and has no name any more, but what is mounted in it still counts for the kernel:
// whoever finds a procfs or a sysfs there with nothing hidden may mount a new one, with nothing hidden either.
void let_go(const MountEntry& entry) {
  const std::string below = entry.target.substr(1);
  const int rc = ::umount2(below.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  explain::tell(rc, "a mount of the host that is now beneath the new root", [&] {
    return explain::Call{"umount2", fmt::format("\"{}\", MNT_DETACH|UMOUNT_NOFOLLOW", below), fmt::format("umount -l {}", below)};
  });
  if (rc != 0 && errno != ENOENT && (entry.type == "proc" || entry.type == "sysfs")) {
    sys::mount({.source = "tmpfs", .target = below, .type = "tmpfs", .flags = MS_RDONLY},
               "the host holds this mount fast: it is covered instead");
  }
}

void move_and_chroot(int root) {
  const Fd old = files::open("/", O_PATH | O_DIRECTORY);
  const std::vector<MountEntry> others = mounts_to_leave(mount_table(), root);
  sys::mount({.source = ".", .target = "/", .flags = MS_MOVE}, "the new root covers the old one");
  sys::chroot(".", "from here on / is the new root");
  sys::fchdir(old.get(), "the old root", "what is left of it is let go from there");
  for (const MountEntry& entry : others) {
    let_go(entry);
  }
  sys::chdir("/", "and we are in the new one");
}

}  // namespace

void set_propagation(uint64_t flag) {
  sys::mount({.target = "/", .flags = MS_REC | flag}, "nothing mounted from here on may show up on the host");
  if (flag != MS_PRIVATE) {
    sys::mount({.target = "/", .flags = MS_PRIVATE}, "the kernel attaches a new root only to a private mount");
  }
}

void make_private() { set_propagation(MS_PRIVATE); }

void require_directory(const std::string& path, std::string_view remedy) {
  if (!files::is_directory(path)) {
    throw fail("{} is not a directory with a root file system", path).with_hint(fmt::format("'{}' writes a small one", remedy));
  }
}

Fd bind_root(const std::string& path) {
  struct stat status {};
  check(::stat(path.c_str(), &status), "open the root directory {}", path);
  if (!S_ISDIR(status.st_mode)) {
    throw system_error(ENOTDIR, fmt::format("open the root directory {}", path));
  }
  return sys::clone_mount(AT_FDCWD, path, sys::Depth::kRecursive, "the new root must be a mount of its own");
}

Fd bind_root(int directory, const std::string& shown) {
  try {
    return sys::clone_mount(directory, "", sys::Depth::kRecursive, "the new root must be a mount of its own");
  } catch (Error& error) {
    throw std::move(error).in(fmt::format("the root directory {}", shown));
  }
}

void attach_root(int root) {
  const Fd place = files::open("/", O_PATH | O_DIRECTORY);
  sys::move_mount(root, place.get(), "/", "the new root is attached on top of the old one, where no path leads to it");
}

void attach_root(int root, int place, const std::string& shown) {
  sys::move_mount(root, place, shown, "the new root is attached where its files are: hooks find it by that path");
}

void enter_root(int root, RootChange how) {
  sys::fchdir(root, "the new root", "stand in the new root while the roots change places");
  if (how == RootChange::kMoveAndChroot) {
    return move_and_chroot(root);
  }
  try {
    sys::pivot_root(".", ".", "the new root becomes /, and the old one is put on top of it");
  } catch (Error& error) {
    throw error.error_number() == EINVAL ? std::move(error).with_hint(why_pivot_failed(root)) : error;
  }
  sys::unmount(".", MNT_DETACH, "the old root goes, and with it every path to the host's files");
  sys::chdir("/", "the working directory is now inside");
}

}  // namespace jigsaw::rootfs
