#include "rootfs/masks.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <array>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "rootfs/safe_path.h"

namespace jigsaw::rootfs {

Masks Masks::make() {
  constexpr const char* kWhy = "an empty file and an empty directory of our own, to cover others with";
  const std::array<std::string, 3> options = {"mode=755", "nr_inodes=4", "size=4k"};
  const Fd covers = sys::new_filesystem("tmpfs", "jigsaw-mask", options,
                                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, kWhy);
  sys::mkdirat(covers.get(), "directory", 0555, kWhy);
  sys::mknodat(covers.get(), "file", S_IFREG | 0444, 0, kWhy);
  sys::mount_setattr(covers.get(), {.set = MOUNT_ATTR_RDONLY}, sys::Depth::kThisMount, "the covers", kWhy);
  const Fd place = files::open("/", O_PATH | O_DIRECTORY);
  sys::move_mount(covers.get(), place.get(), "/", "only what is attached can be cloned");
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
