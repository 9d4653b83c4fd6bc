#include "cgroups/diagnose.h"

#include <fcntl.h>

#include "base/files.h"
#include "base/text.h"

namespace jigsaw::cgroups {
namespace {

std::string permission_hint(Version version) {
  return version == Version::kV2
             ? "run it as root, or in a cgroup that is delegated to you: systemd-run --user --scope -p Delegate=yes …"
             : "cgroup v1 can't be delegated safely: run it as root, or without limits";
}

std::string value_of(const Place& place, const char* file) {
  const auto text = files::read_if_exists(fmt::format("{}/{}", place.directory, file));
  return std::string(text::trim(text.value_or("")));
}

// What the kernel's EINVAL, ERANGE, EBUSY, … means for this file.
std::string value_hint(const Setting& setting, const Place& place, int number) {
  const std::string& file = setting.file;
  if (file == "memory.limit_in_bytes" && number == EBUSY) {
    return fmt::format("it uses {} bytes now and could not be pushed below the limit", value_of(place, "memory.usage_in_bytes"));
  }
  if (file == "memory.limit_in_bytes" && number == EINVAL) {
    return fmt::format("it may not exceed the limit of memory and swap, now {} bytes: raise that too",
                       value_of(place, "memory.memsw.limit_in_bytes"));
  }
  if (file == "memory.memsw.limit_in_bytes" && number == EINVAL) {
    return fmt::format("it counts memory and swap together and may not be below the memory limit, now {} bytes",
                       value_of(place, "memory.limit_in_bytes"));
  }
  if (file == "cpuset.cpus") {
    return fmt::format("the CPUs that may be given are {}", value_of(place, "../cpuset.cpus.effective").empty()
                                                                ? value_of(place, "../cpuset.cpus")
                                                                : value_of(place, "../cpuset.cpus.effective"));
  }
  if (file == "cpuset.mems") {
    return "the memory nodes that may be given are in /sys/devices/system/node/online";
  }
  if (file.starts_with("cpu.cfs_") || file == "cpu.max" || file == "cpu.max.burst") {
    return "quota and period are at least 1000 µs, the period at most 1000000 µs, the burst at most the quota, and no more "
           "than the parent cgroup has";
  }
  if (file == "cpu.rt_runtime_us") {
    return "the parent cgroup must have realtime CPU time to give: its own cpu.rt_runtime_us is 0 or used up";
  }
  if (file == "pids.max") {
    return "it is a whole number up to 4194304, or max";
  }
  if (file.starts_with("blkio.throttle") || file == "io.max") {
    return number == ENODEV ? "there is no such block device; partitions can't be limited, whole disks can" : "";
  }
  if (file.starts_with("devices.")) {
    return number == EPERM ? "a cgroup can't allow a device that its parent cgroup denies" : "";
  }
  return "";
}

std::string missing_hint(const Setting& setting, const Place& place) {
  const std::string& file = setting.file;
  if (file.find("memsw") != std::string::npos || file.find("swap") != std::string::npos) {
    return "this kernel does not count swap: boot it with swapaccount=1, or leave the swap limit out";
  }
  if (file.find("weight") != std::string::npos && setting.controller == "io") {
    return "no I/O scheduler with weights is active: they need bfq (echo bfq > /sys/block/DISK/queue/scheduler)";
  }
  if (file.starts_with("hugetlb.")) {
    return "the page sizes that this machine has are in /sys/kernel/mm/hugepages";
  }
  if (place.hierarchy.version == Version::kV2) {
    const std::string controller = file.substr(0, file.find('.'));
    return fmt::format("the controller {0} is not enabled for it: 'echo +{0} > cgroup.subtree_control' in every cgroup above",
                       controller);
  }
  return "this kernel has no such file";
}

}  // namespace

Error setting_refused(const Setting& setting, const Place& place, int number) {
  const std::string path = fmt::format("{}/{}", place.directory, setting.file);
  std::string hint;
  if (number == ENOENT) {
    hint = missing_hint(setting, place);
    return Error(fmt::format("there is no {} to write {} to: {}", path, text::quoted(setting.value), setting.why), hint).with_errno(number);
  }
  hint = value_hint(setting, place, number);
  if (hint.empty() && (number == EACCES || number == EPERM || number == EROFS)) {
    hint = permission_hint(place.hierarchy.version);
  }
  return system_error(number, fmt::format("write {} to {}", text::quoted(setting.value), path)).with_hint(hint);
}

Error creation_refused(const std::string& directory, Version version, int number) {
  std::string hint;
  if (number == EACCES || number == EPERM || number == EROFS) {
    hint = permission_hint(version);
  } else if (number == EAGAIN) {
    hint = "a cgroup above it has cgroup.max.depth or cgroup.max.descendants set";
  } else if (number == ENOSPC || number == ENOMEM) {
    hint = "the kernel has no more room for cgroups (65535 at a time on v1 memory): remove some";
  }
  return system_error(number, fmt::format("make the cgroup {}", directory)).with_hint(hint);
}

Error controllers_refused(const std::string& directory, const std::string& controllers, int number) {
  std::string hint;
  if (number == EBUSY) {
    hint = fmt::format("a cgroup v2 holds either processes or controllers for its children, not both (the "
                       "no-internal-process rule): move the processes of {} into a cgroup of their own below it", directory);
  } else if (number == ENOENT) {
    hint = fmt::format("they are not enabled for {} itself: see its cgroup.controllers", directory);
  } else if (number == EOPNOTSUPP) {
    hint = fmt::format("{} is threaded (cgroup.type), and these controllers count whole processes", directory);
  } else if (number == EACCES || number == EPERM || number == EROFS) {
    hint = permission_hint(Version::kV2);
  }
  return system_error(number, fmt::format("enable {} for the cgroups in {}", controllers, directory)).with_hint(hint);
}

Error joining_refused(const Place& place, int number) {
  std::string hint;
  if (number == ENOSPC && place.hierarchy.has("cpuset")) {
    hint = "its cpuset.cpus or cpuset.mems is empty: nothing can run there";
  } else if (number == EINVAL && place.hierarchy.has("cpu")) {
    hint = "a realtime process (SCHED_FIFO, SCHED_RR) needs a cgroup with cpu.rt_runtime_us";
  } else if (number == EBUSY) {
    hint = "it has controllers enabled for the cgroups below it, so no process may be in it: enter one of those";
  } else if (number == EACCES || number == EPERM) {
    hint = permission_hint(place.hierarchy.version);
  } else if (number == ENODEV) {
    hint = "the cgroup was removed meanwhile";
  }
  return system_error(number, fmt::format("enter the cgroup {}", place.directory)).with_hint(hint);
}

}  // namespace jigsaw::cgroups
