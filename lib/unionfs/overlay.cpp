#include "unionfs/overlay.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/explain.h"
#include "base/files.h"

namespace jigsaw::unionfs {
namespace {

constexpr size_t kMaxFsconfigValue = 255;  // bytes; fsconfig(2) refuses longer ones

std::vector<std::string> all_directories(const Overlay& overlay) {
  std::vector<std::string> result = overlay.lowers;
  if (!overlay.upper.empty()) {
    result.push_back(overlay.upper);
    result.push_back(overlay.work);
  }
  return result;
}

void validate(const Overlay& overlay) {
  if (overlay.lowers.empty()) {
    throw fail("an overlay needs at least one lower directory");
  }
  if (overlay.lowers.size() > kMaxLowers) {
    throw fail("{} layers are more than the kernel can stack ({})", overlay.lowers.size(), kMaxLowers)
        .with_hint("merge some of the layers into one");
  }
  if (overlay.upper.empty() != overlay.work.empty()) {
    throw fail("an overlay takes an upper and a work directory, or neither");
  }
  for (const std::string& directory : all_directories(overlay)) {
    if (!directory.starts_with('/')) {
      throw fail("the layer {} is not an absolute path", directory);
    }
    struct stat status {};
    check(::stat(directory.c_str(), &status), "use {} as a layer", directory);
    if (!S_ISDIR(status.st_mode)) {
      throw system_error(ENOTDIR, fmt::format("use {} as a layer", directory));
    }
  }
}

// Which of the documented conditions is false now.
std::string diagnose(const Overlay& overlay, Xattrs xattrs, int number) {
  if (xattrs == Xattrs::kUser && number == EPERM && !kernel_is_at_least(5, 11)) {
    return "overlay mounts in a user namespace need Linux 5.11";
  }
  if (number == EPERM) {
    return "mounting needs root, or a user namespace of your own (and a system that allows them)";
  }
  if (number == ENODEV) {
    return "this kernel has no overlay file system: try 'modprobe overlay' as root";
  }
  if (overlay.upper.empty() || number == EMFILE || number == ENFILE || number == ENOMEM || number == ENOSPC) {
    return "";  // not the overlay's fault
  }
  struct stat upper {};
  struct stat work {};
  struct statfs system {};
  if (::stat(overlay.upper.c_str(), &upper) == 0 && ::stat(overlay.work.c_str(), &work) == 0 &&
      upper.st_dev != work.st_dev) {
    return "the upper and the work directory must be on one file system";
  }
  if (::statfs(overlay.upper.c_str(), &system) == 0 && system.f_type == OVERLAYFS_SUPER_MAGIC) {
    return "the upper directory is itself on an overlay file system: put it on a disk or a tmpfs";
  }
  if (files::exists(overlay.work + "/work/incompat/volatile")) {
    return fmt::format("a volatile overlay crashed here: remove {} and start with a new upper", overlay.work);
  }
  if (number == EBUSY) {
    return "the upper or work directory is in use by another overlay mount";
  }
  return "";
}

// What keeps an upper plain: no part of it may refer to the lowers in a way that only overlayfs can follow.
std::vector<std::string> common_options(const Overlay& overlay, Xattrs xattrs) {
  std::vector<std::string> result = {"index=off", "metacopy=off"};
  if (xattrs == Xattrs::kUser) {
    result.emplace_back("userxattr");
  } else {
    result.emplace_back("redirect_dir=off");
  }
  if (overlay.is_volatile && !overlay.upper.empty()) {
    result.emplace_back("volatile");
  }
  return result;
}

Fd by_fsconfig(const Overlay& overlay, Xattrs xattrs, sys::Why why) {
  std::vector<std::string> options;
  for (const std::string& lower : overlay.lowers) {
    options.push_back("lowerdir+=" + lower);
  }
  if (!overlay.upper.empty()) {
    options.push_back("upperdir=" + overlay.upper);
    options.push_back("workdir=" + overlay.work);
  }
  for (std::string& option : common_options(overlay, xattrs)) {
    options.push_back(std::move(option));
  }
  return sys::new_filesystem("overlay", "overlay", options, 0, why);
}

// A visit to a mount namespace of our own: what is mounted there is seen by nobody else.
class PrivateMounts {
 public:
  PrivateMounts()
      : root_(files::open("/", O_PATH | O_DIRECTORY)),
        directory_(files::open(".", O_PATH | O_DIRECTORY)),
        namespace_(files::open("/proc/self/ns/mnt", O_RDONLY)) {
    sys::unshare(CLONE_NEWNS, "a mount table of our own: the overlay is put together where nobody sees it");
    inside_ = true;
    sys::mount({.target = "/", .flags = MS_REC | MS_PRIVATE}, "nothing mounted here may show up outside");
  }
  void leave() {
    inside_ = false;
    sys::setns(namespace_.get(), CLONE_NEWNS, "mnt", "back to the mount table that we came from");
    sys::fchdir(root_.get(), "/", "setns put us at the top of the mount table");
    sys::chroot(".", "our root was perhaps another");
    sys::fchdir(directory_.get(), ".", "our working directory too");
  }
  ~PrivateMounts() {
    try {
      if (inside_) {
        leave();
      }
    } catch (const Error&) {
      // An error is on its way already, and says why.
    }
  }
  PrivateMounts(const PrivateMounts&) = delete;
  PrivateMounts& operator=(const PrivateMounts&) = delete;

 private:
  Fd root_;
  Fd directory_;
  Fd namespace_;
  bool inside_ = false;
};

Fd by_mount_options(const Overlay& overlay, Xattrs xattrs, sys::Why why) {
  PrivateMounts visit;
  const Fd links = sys::new_filesystem("tmpfs", "tmpfs", {}, 0, "room for links with short names");
  const auto link = [&](const std::string& target, const std::string& name) {
    check(::symlinkat(target.c_str(), links.get(), name.c_str()), "link {} to {}", name, target);
  };
  std::string options = "lowerdir=";
  for (size_t index = 0; index < overlay.lowers.size(); ++index) {
    const std::string name = std::to_string(index);
    link(overlay.lowers[index], name);
    options += (index == 0 ? "" : ":") + name;
  }
  if (!overlay.upper.empty()) {
    link(overlay.upper, "u");
    link(overlay.work, "w");
    options += ",upperdir=u,workdir=w";
  }
  for (const std::string& option : common_options(overlay, xattrs)) {
    options += "," + option;
  }
  sys::fchdir(links.get(), "links", "the options name the layers 0, 1, 2 …: all of them fit in one page");
  const std::string& place = overlay.lowers.front();
  sys::mount({.source = "overlay", .target = place, .type = "overlay", .data = options}, why);
  Fd result = sys::clone_mount(AT_FDCWD, place, sys::Depth::kThisMount, "take the mount along, attached to nothing");
  visit.leave();
  return result;
}

Fd read_only_bind(const std::string& directory, sys::Why why) {
  Fd result = sys::clone_mount(AT_FDCWD, directory, sys::Depth::kThisMount, why);
  sys::mount_setattr(result.get(), {.set = MOUNT_ATTR_RDONLY}, sys::Depth::kThisMount, directory,
                     "a stack without an upper is read only");
  return result;
}

bool fits_fsconfig(const std::string& path) {
  return path.size() <= kMaxFsconfigValue && path.find_first_of(":,\\") == std::string::npos;
}

Overlay::Route choose(const Overlay& overlay) {
  if (overlay.route != Overlay::Route::kAutomatic) {
    return overlay.route;
  }
  const auto directories = all_directories(overlay);
  return kernel_is_at_least(6, 8) && std::all_of(directories.begin(), directories.end(), fits_fsconfig)
             ? Overlay::Route::kFsconfig
             : Overlay::Route::kMountOptions;
}

}  // namespace

bool kernel_is_at_least(int major, int minor) {
  utsname name{};
  ::uname(&name);
  int has_major = 0;
  int has_minor = 0;
  std::sscanf(name.release, "%d.%d", &has_major, &has_minor);
  return has_major > major || (has_major == major && has_minor >= minor);
}

Fd mount_overlay(const Overlay& overlay, sys::Why why) {
  validate(overlay);
  if (overlay.lowers.size() == 1 && overlay.upper.empty()) {
    return read_only_bind(overlay.lowers.front(), why);
  }
  const Xattrs xattrs = overlay.xattrs.value_or(usable_xattrs());
  try {
    return choose(overlay) == Overlay::Route::kFsconfig ? by_fsconfig(overlay, xattrs, why)
                                                        : by_mount_options(overlay, xattrs, why);
  } catch (const Error& error) {
    const std::string hint = diagnose(overlay, xattrs, error.error_number());
    throw Error(fmt::format("stack {} layers: {}", overlay.lowers.size(), error.message()),
                hint.empty() ? error.hint() : hint, error.code())
        .with_errno(error.error_number());
  }
}

}  // namespace jigsaw::unionfs
