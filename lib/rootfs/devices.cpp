#include "rootfs/devices.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "rootfs/safe_path.h"

namespace jigsaw::rootfs {
namespace {

mode_t file_type(char type) {
  switch (type) {
    case 'b':
      return S_IFBLK;
    case 'p':
      return S_IFIFO;
    default:
      return S_IFCHR;
  }
}

std::pair<std::string, std::string> split_path(const std::string& path) {
  const std::string tidy = relative(path);
  const size_t slash = tidy.rfind('/');
  if (tidy == "." || tidy == ".." || tidy.ends_with("/..")) {
    throw fail("a device file can't be made at {}", path);
  }
  return slash == std::string::npos ? std::pair{std::string("."), tidy}
                                    : std::pair{tidy.substr(0, slash), tidy.substr(slash + 1)};
}

dev_t number_of(const Device& device) {
  return file_type(device.type) == S_IFIFO ? 0 : makedev(device.major, device.minor);
}

bool is_device(const struct stat& status, const Device& device) {
  const mode_t type = file_type(device.type);
  return (status.st_mode & S_IFMT) == type && (type == S_IFIFO || status.st_rdev == number_of(device));
}

void bind_from_host(int directory, const std::string& name, const Device& device) {
  const std::string& source = device.source.empty() ? device.path : device.source;
  const Fd host = sys::clone_mount(AT_FDCWD, source, sys::Depth::kThisMount,
                                   "in a user namespace mknod is forbidden: the host's own device is shown");
  struct stat found {};
  check(::fstat(host.get(), &found), "stat {}", source);
  if (!is_device(found, device)) {  // another file of that name is not what was asked for
    throw fail("{} is not the device {} {}:{} on this machine", source, device.type, device.major, device.minor);
  }
  sys::mount_setattr(host.get(), {.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC}, sys::Depth::kThisMount, source,
                     "a device is no program");
  Fd place(::openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!place) {
    sys::mknodat(directory, name, S_IFREG | 0600, 0, "a bind mount of a file needs a file to be put on");
    place = files::open_at(directory, name, O_PATH | O_NOFOLLOW);
  }
  sys::move_mount(host.get(), place.get(), device.path, "the device appears in the container");
}

void make_node(int directory, const std::string& name, const Device& device) {
  try {
    sys::mknodat(directory, name, file_type(device.type) | device.mode, number_of(device), "a program finds its devices by these files");
  } catch (const Error& error) {
    struct stat status {};
    if (error.error_number() == EEXIST && ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && is_device(status, device)) {
      return;
    }
    throw system_error(error.error_number(), fmt::format("make the device {}", device.path));
  }
  if (device.uid != 0 || device.gid != 0) {
    const Fd node = files::open_at(directory, name, O_PATH | O_NOFOLLOW);
    sys::fchown(node.get(), device.uid, device.gid, device.path, "the owner that the configuration names");
  }
}

}  // namespace

std::vector<Device> default_devices() {
  return {{"/dev/null", 'c', 1, 3}, {"/dev/zero", 'c', 1, 5},    {"/dev/full", 'c', 1, 7},
          {"/dev/tty", 'c', 5, 0},  {"/dev/random", 'c', 1, 8}, {"/dev/urandom", 'c', 1, 9}};
}

void make_devices(int root, std::span<const Device> devices, DeviceMaking making) {
  const mode_t former = ::umask(0);
  std::string opened;
  Fd directory;
  for (const Device& device : devices) {
    const auto [parent, name] = split_path(device.path);
    if (!directory || parent != opened) {
      // A root whose /dev is a link was made to be followed: by us, or by what looks for devices later.
      const Links links = parent == "dev" ? Links::kRefuse : Links::kFollow;
      directory = make_directory_in_root(root, parent, 0755, "device files are made relative to this directory", links);
      opened = parent;
    }
    if (making == DeviceMaking::kBindFromHost && device.type != 'p') {
      bind_from_host(directory.get(), name, device);
    } else {
      make_node(directory.get(), name, device);
    }
  }
  ::umask(former);
}

void make_device_links(int root) {
  const Fd directory = make_directory_in_root(root, "/dev", 0755, "standard names for what a process has open", Links::kRefuse);
  for (const auto& [name, target] : {std::pair{"fd", "/proc/self/fd"}, std::pair{"stdin", "/proc/self/fd/0"},
                                     std::pair{"stdout", "/proc/self/fd/1"}, std::pair{"stderr", "/proc/self/fd/2"},
                                     std::pair{"core", "/proc/kcore"}, std::pair{"ptmx", "pts/ptmx"}}) {
    try {
      sys::symlinkat(target, directory.get(), name, "standard names for what a process has open");
    } catch (const Error& error) {
      if (error.error_number() != EEXIST) {
        throw;
      }
    }
  }
}

}  // namespace jigsaw::rootfs
