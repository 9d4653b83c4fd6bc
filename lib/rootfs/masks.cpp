#include "rootfs/masks.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "base/explain.h"
#include "base/files.h"
#include "base/sys.h"
#include "rootfs/safe_path.h"

namespace jigsaw::rootfs {
namespace {

// Clones what lies at `path` of a mount that is attached nowhere, as kernels can since 6.15; nothing on others (EINVAL).
Fd try_clone_detached(int mount, const char* path, sys::Why why) {
  const long rc = ::syscall(SYS_open_tree, mount, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  explain::tell(rc, why, [&] {
    return explain::Call{"open_tree", fmt::format("{}, \"{}\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC", mount, path), ""};
  });
  return Fd(static_cast<int>(rc));
}

}  // namespace

Masks Masks::make() {
  constexpr const char* kWhy = "an empty file and an empty directory of our own, to cover others with";
  const std::array<std::string, 3> options = {"mode=755", "nr_inodes=4", "size=4k"};
  const Fd covers = sys::new_filesystem("tmpfs", "jigsaw-mask", options,
                                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, kWhy);
  sys::mkdirat(covers.get(), "directory", 0555, kWhy);
  sys::mknodat(covers.get(), "file", S_IFREG | 0444, 0, kWhy);
  sys::mount_setattr(covers.get(), {.set = MOUNT_ATTR_RDONLY}, sys::Depth::kThisMount, "the covers", kWhy);
  if (Fd directory = try_clone_detached(covers.get(), "directory", kWhy)) {
    return {std::move(directory), sys::clone_mount(covers.get(), "file", sys::Depth::kThisMount, kWhy)};
  }
  const Fd place = files::open("/", O_PATH | O_DIRECTORY);
  sys::move_mount(covers.get(), place.get(), "/", "this kernel clones only what is attached");
  Fd directory = sys::clone_mount(covers.get(), "directory", sys::Depth::kThisMount, kWhy);
  Fd file = sys::clone_mount(covers.get(), "file", sys::Depth::kThisMount, kWhy);
  sys::unmount("/", MNT_DETACH, "the clones are enough");
  return {std::move(directory), std::move(file)};
}

void Masks::cover(int root, std::span<const std::string> paths) {
  constexpr const char* kWhy = "this part of the kernel is not the container's business";
  for (const std::string& path : paths) {
    const auto place = find_in_root(root, path, O_PATH, kWhy);
    if (!place) {
      continue;
    }
    struct stat status {};
    check(::fstat(place->get(), &status), "stat {}", path);
    Cover& cover = S_ISDIR(status.st_mode) ? directory_ : file_;
    const Fd copy = cover.attached ? sys::clone_mount(cover.mount.get(), "", sys::Depth::kThisMount, kWhy) : Fd();
    sys::move_mount(copy ? copy.get() : cover.mount.get(), place->get(), path, kWhy);
    cover.attached = true;
  }
}

std::span<const std::string> default_masked_paths() {
  static const std::string kPaths[] = {"/proc/acpi",       "/proc/asound",  "/proc/interrupts",   "/proc/kcore",
                                       "/proc/keys",       "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                                       "/proc/sched_debug", "/proc/scsi",   "/sys/firmware", "/sys/devices/virtual/powercap"};
  return kPaths;
}

std::span<const std::string> default_read_only_paths() {
  static const std::string kPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  return kPaths;
}

}  // namespace jigsaw::rootfs
