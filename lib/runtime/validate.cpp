#include <sched.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "cgroups/layout.h"
#include "namespaces/furnish.h"
#include "namespaces/sets.h"
#include "runtime/listener.h"
#include "runtime/scheduling.h"
#include "runtime/spec.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace jigsaw::runtime {
namespace {

bool has_control_bytes(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0x20; });
}

void need(bool holds, std::string what) {
  if (!holds) {
    throw Error(std::move(what));
  }
}

// The kind of namespace that has this sysctl for itself, or 0: then it is the host's. `key` may be written either way:
// "net.ipv4.conf.eth0/1.x" and "net/ipv4/conf/eth0.1/x" are the same, the first separator decides which is which.
uint64_t namespace_of_sysctl(std::string& key) {
  const size_t separator = key.find_first_of("./");
  if (separator != std::string::npos && key[separator] == '/') {
    for (char& byte : key) {
      byte = byte == '/' ? '.' : byte == '.' ? '/' : byte;
    }
  }
  static const std::set<std::string, std::less<>> ipc = {
      "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
      "kernel.shm_rmid_forced"};
  if (key.starts_with("net.")) {
    return CLONE_NEWNET;
  }
  if (ipc.contains(key) || key.starts_with("fs.mqueue.")) {
    return CLONE_NEWIPC;
  }
  if (key == "kernel.domainname" || key == "kernel.hostname") {
    return CLONE_NEWUTS;
  }
  return key.starts_with("user.") ? CLONE_NEWUSER : 0;
}

void check_sysctl(const Spec& spec, std::string key, const std::string& value) {
  need(key.find("..") == std::string::npos && !key.starts_with('/') && !key.starts_with('.') && !key.empty() &&
           !has_control_bytes(key) && key.find("//") == std::string::npos,
       fmt::format("sysctl {} is malformed", text::quoted(key)));
  const uint64_t kind = namespace_of_sysctl(key);
  if (kind == 0) {
    throw Error(fmt::format("sysctl {} belongs to the whole machine, not to a container", text::quoted(key)),
                "a container's own are net.*, user.*, fs.mqueue.*, and kernel.msg*, kernel.sem and kernel.shm* of System V's IPC");
  }
  need(spec.has(kind), fmt::format("sysctl {} needs a {} namespace of the container's own", text::quoted(key), namespaces::names(kind)));
  need(key != "kernel.hostname", "sysctl \"kernel.hostname\" would contradict hostname: give that");
  need(key != "kernel.domainname" || spec.domainname.empty() || spec.domainname == value,
       "sysctl \"kernel.domainname\" contradicts domainname");
}

void check_namespaces(const Spec& spec) {
  need(spec.hostname.empty() || spec.has(CLONE_NEWUTS), "hostname needs a uts namespace");
  need(spec.domainname.empty() || spec.has(CLONE_NEWUTS), "domainname needs a uts namespace");
  for (const auto& [what, name] : {std::pair{"hostname", &spec.hostname}, std::pair{"domainname", &spec.domainname}}) {
    if (!name->empty()) {
      namespaces::check_host_name(what, *name);
    }
  }
  need(spec.time_offsets.empty() || spec.has_new(CLONE_NEWTIME), "timeOffsets need a new time namespace");
  for (const auto& [clock, offset] : spec.time_offsets) {
    need(clock == "boottime" || clock == "monotonic", fmt::format("timeOffsets: {} is no clock of a time namespace", text::quoted(clock)));
    need(offset.nanoseconds < 1'000'000'000, "timeOffsets: nanosecs must be below a second");
  }
  const bool mapped = !spec.id_maps.uids.empty() || !spec.id_maps.gids.empty();
  need(!mapped || spec.has(CLONE_NEWUSER), "uidMappings and gidMappings need a user namespace");
  need(spec.id_maps.uids.empty() == spec.id_maps.gids.empty(), "uidMappings and gidMappings belong together");
  namespaces::check_ranges(spec.id_maps.uids, "uidMappings");
  namespaces::check_ranges(spec.id_maps.gids, "gidMappings");
  if (spec.has_new(CLONE_NEWUSER) && spec.process && mapped) {
    need(namespaces::to_outside(spec.id_maps.uids, spec.process->uid).has_value(),
         fmt::format("user {} has no mapping in the user namespace", spec.process->uid));
    need(namespaces::to_outside(spec.id_maps.gids, spec.process->gid).has_value(),
         fmt::format("group {} has no mapping in the user namespace", spec.process->gid));
  }
  need(spec.net_devices.empty() || spec.has(CLONE_NEWNET), "netDevices need a network namespace");
}

void check_net_devices(const Spec& spec) {
  std::set<std::string> inside;
  for (const auto& [outside, name] : spec.net_devices) {
    for (const std::string& each : {outside, name.empty() ? outside : name}) {
      need(!each.empty() && each.size() < 16 && each != "." && each != ".." &&
               each.find_first_of("/: \t\n%") == std::string::npos,
           fmt::format("netDevices: {} is no name of a network device", text::quoted(each)));
    }
    need(inside.insert(name.empty() ? outside : name).second, fmt::format("netDevices: the name {} occurs twice", name));
  }
}

void check_paths(const Spec& spec) {
  for (const MountPoint& mount : spec.mounts) {
    need(!mount.destination.empty(), "a mount without a destination");
    need(mount.id_maps.uids.empty() == mount.id_maps.gids.empty(),
         fmt::format("mount {}: uidMappings and gidMappings belong together", mount.destination));
    need(!mount.id_map || !mount.id_maps.uids.empty() || !spec.id_maps.uids.empty(),
         fmt::format("mount {}: idmap without uidMappings and gidMappings, neither of its own nor of the container", mount.destination));
  }
  for (const rootfs::Device& device : spec.devices) {
    need(device.path.starts_with('/'), fmt::format("device {} must be an absolute path", text::quoted(device.path)));
  }
  for (const auto* paths : {&spec.masked_paths, &spec.read_only_paths}) {
    for (const std::string& path : *paths) {
      need(path.starts_with('/'), fmt::format("{} must be an absolute path", text::quoted(path)));
    }
  }
}

}  // namespace

bool Spec::has_new(uint64_t kind) const {
  return std::any_of(namespaces.begin(), namespaces.end(), [&](const Namespace& n) { return n.kind == kind && n.path.empty(); });
}

bool Spec::has(uint64_t kind) const {
  return std::any_of(namespaces.begin(), namespaces.end(), [&](const Namespace& n) { return n.kind == kind; });
}

std::string Spec::annotation(const std::string& key) const {
  const auto found = annotations.find(key);
  return found == annotations.end() ? "" : found->second;
}

uint64_t Spec::changes() const {
  uint64_t kinds = hostname.empty() && domainname.empty() ? 0 : CLONE_NEWUTS;
  for (const auto& [key, value] : sysctl) {
    std::string name = key;
    kinds |= namespace_of_sysctl(name);
  }
  return kinds;
}

bool is_supported_version(std::string_view version) {
  const std::string_view core = version.substr(0, version.find_first_of("-+"));
  const auto parts = text::split(core, '.');
  if (parts.size() != 3) {
    return false;
  }
  const auto number = [](std::string_view part) {
    return part.size() > 1 && part.front() == '0' ? std::nullopt : text::to_u64(part);
  };
  return number(parts[0]) == 1 && number(parts[1]) && number(parts[2]);
}

void validate(const Process& process) {
  need(!process.args.empty(), "process.args is empty: there is no program to run");
  need(!process.args.front().empty(), "process.args[0] is empty: there is no program to run");
  need(process.cwd.starts_with('/'), fmt::format("process.cwd {} must be an absolute path", text::quoted(process.cwd)));
  for (const std::string& variable : process.env) {
    need(variable.find('=') != std::string::npos && variable.front() != '=',
         fmt::format("process.env {} is not NAME=value", text::quoted(variable)));
  }
  validate_scheduling(process);
}

void validate(const Spec& spec) {
  need(is_supported_version(spec.version), fmt::format("ociVersion {} is not 1.x", text::quoted(spec.version)));
  if (spec.process) {
    validate(*spec.process);
  }
  check_namespaces(spec);
  check_net_devices(spec);
  check_paths(spec);
  for (const auto& [key, value] : spec.sysctl) {
    check_sysctl(spec, key, value);
  }
  if (!spec.cgroups_path.empty() && spec.cgroups_path.find(':') == std::string::npos) {
    cgroups::clean_path(spec.cgroups_path);
  }
  cgroups::validate(spec.limits);
  if (spec.seccomp) {
    security::validate(*spec.seccomp);
    validate_listener(*spec.seccomp);
  }
  if (spec.memory_policy) {
    validate(*spec.memory_policy);
  }
  need(spec.intel_rdt.empty(), "intelRdt is not supported: this runtime does not manage caches (resctrl)");
}

}  // namespace jigsaw::runtime
