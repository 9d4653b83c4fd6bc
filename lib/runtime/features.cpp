#include "runtime/features.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "namespaces/sets.h"
#include "rootfs/masks.h"
#include "rootfs/mounts.h"
#include "security/capabilities.h"
#include "security/seccomp.h"

namespace jigsaw::runtime {
namespace {

json::Value enabled(bool value) { return {{"enabled", value}}; }

json::Value namespace_names() {
  json::Value names = json::Value::array();
  for (const namespaces::Kind& kind : namespaces::kinds()) {
    names.push_back(std::string(kind.oci));
  }
  return names;
}

json::Value example_mounts(Privilege privilege) {
  json::Value mounts = json::Value::array();
  const auto add = [&](const char* destination, const char* type, const char* source, std::vector<std::string> options) {
    mounts.push_back({{"destination", destination}, {"type", type}, {"source", source}, {"options", std::move(options)}});
  };
  add("/proc", "proc", "proc", {});
  add("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
  add("/dev/pts", "devpts", "devpts",
      privilege == Privilege::kRoot ? std::vector<std::string>{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}
                                    : std::vector<std::string>{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"});
  add("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"});
  add("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"});
  if (privilege == Privilege::kRoot) {
    add("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"});
    add("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"});
  } else {
    add("/sys", "none", "/sys", {"rbind", "nosuid", "noexec", "nodev", "ro"});
  }
  return mounts;
}

json::Value texts(std::span<const std::string> values) { return std::vector<std::string>(values.begin(), values.end()); }

}  // namespace

std::string features_json() {
  const json::Value value = {
      {"ociVersionMin", "1.0.0"},
      {"ociVersionMax", "1.3.0"},
      {"hooks", {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}},
      {"mountOptions", rootfs::known_options()},
      {"linux",
       {{"namespaces", namespace_names()},
        {"capabilities", security::all_capability_names()},
        {"cgroup", {{"v1", true}, {"v2", true}, {"systemd", true}, {"systemdUser", true}, {"rdma", true}}},
        {"seccomp",
         {{"enabled", true},
          {"actions", security::known_seccomp_actions()},
          {"operators", security::known_seccomp_operators()},
          {"archs", security::known_seccomp_architectures()},
          {"knownFlags", security::known_seccomp_flags()},
          {"supportedFlags", security::known_seccomp_flags()}}},
        {"apparmor", enabled(true)},
        {"selinux", enabled(true)},
        {"intelRdt", enabled(false)},
        {"memoryPolicy",
         {{"modes", {"MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED_MANY",
                     "MPOL_WEIGHTED_INTERLEAVE"}},
          {"flags", {"MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES", "MPOL_F_NUMA_BALANCING"}}}},
        {"mountExtensions", {{"idmap", enabled(true)}}},
        {"netDevices", enabled(true)}}},
      {"annotations", {{"org.opencontainers.runc.checkpoint.enabled", "false"}}},
      {"potentiallyUnsafeConfigAnnotations", {"org.systemd.property."}}};
  return json::dump_pretty(value);
}

std::string example_config(Privilege privilege) {
  const std::vector<std::string> few = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};
  json::Value namespaces = json::Value::array();
  for (const char* type : {"pid", "network", "ipc", "uts", "mount", "cgroup"}) {
    if (privilege == Privilege::kRoot || std::string(type) != "network") {
      namespaces.push_back({{"type", type}});
    }
  }
  json::Value linux_part = {{"namespaces", nullptr},
                            {"maskedPaths", texts(rootfs::default_masked_paths())},
                            {"readonlyPaths", texts(rootfs::default_read_only_paths())}};
  if (privilege == Privilege::kRootless) {
    namespaces.push_back({{"type", "user"}});
    linux_part["uidMappings"] = json::Value::array({{{"containerID", 0}, {"hostID", ::geteuid()}, {"size", 1}}});
    linux_part["gidMappings"] = json::Value::array({{{"containerID", 0}, {"hostID", ::getegid()}, {"size", 1}}});
  } else {
    linux_part["resources"] = {{"devices", json::Value::array({{{"allow", false}, {"access", "rwm"}}})}};
  }
  linux_part["namespaces"] = namespaces;
  const json::Value value = {
      {"ociVersion", "1.2.0"},
      {"process",
       {{"terminal", true},
        {"user", {{"uid", 0}, {"gid", 0}}},
        {"args", {"sh"}},
        {"env", {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"}},
        {"cwd", "/"},
        {"capabilities", {{"bounding", few}, {"effective", few}, {"permitted", few}}},
        {"rlimits", json::Value::array({{{"type", "RLIMIT_NOFILE"}, {"hard", 1024}, {"soft", 1024}}})},
        {"noNewPrivileges", true}}},
      {"root", {{"path", "rootfs"}, {"readonly", true}}},
      {"hostname", "jigsaw"},
      {"mounts", example_mounts(privilege)},
      {"linux", linux_part}};
  return json::dump_pretty(value);
}

}  // namespace jigsaw::runtime
