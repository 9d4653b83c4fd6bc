#include "build/run_spec.h"

#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "rootfs/masks.h"
#include "security/user.h"

namespace jigsaw::build {
namespace {

constexpr const char* kHostname = "buildkitsandbox";  // as there, for scripts that look at it
constexpr size_t kAccountLimit = 10 << 20;  // bytes

security::User user_of(const RunPlan& plan, Tree& image) {
  const security::AccountFiles accounts{image.read_file("/etc/passwd", kAccountLimit).value_or(""),
                                        image.read_file("/etc/group", kAccountLimit).value_or("")};
  try {
    return security::resolve_user(plan.user, accounts);
  } catch (const Error& error) {
    const bool group = error.message().starts_with("no group");
    throw Error(fmt::format("unable to find {} {}: no matching entries in {} file: {}", group ? "group" : "user",
                            group ? plan.user.substr(plan.user.find(':') + 1) : plan.user, group ? "group" : "passwd",
                            error.message()),
                error.hint());
  }
}

void set_default(std::vector<std::string>& environment, const std::string& name, const std::string& value) {
  const bool there = std::any_of(environment.begin(), environment.end(),
                                 [&](const std::string& entry) { return entry.starts_with(name + "="); });
  if (!there) {
    environment.push_back(name + "=" + value);
  }
}

runtime::MountPoint bound_file(const std::string& source, const std::string& destination) {
  runtime::MountPoint mount;
  mount.destination = destination;
  mount.source = source;
  mount.kind = rootfs::MountKind::kBind;
  mount.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  return mount;
}

// Made by the first RUN that needs it; stages that run side by side write the same.
std::string shared_file(const std::string& path, const std::string& content) {
  if (!files::exists(path)) {
    files::replace(path, content, {.mode = 0644, .sync = false});  // readable for every user of the container
  }
  return path;
}

bool is_host_network(const RunPlan& plan) {
  if (plan.network == Run::Network::kDefault) {
    return plan.default_network != "none";
  }
  return plan.network == Run::Network::kHost;
}

}  // namespace

runtime::Spec run_spec(const RunPlan& plan, Tree& image, const std::string& shared) {
  const security::User user = user_of(plan, image);
  runtime::Spec spec;
  runtime::Process process;
  process.args = plan.words;
  process.env = plan.environment;
  set_default(process.env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  set_default(process.env, "HOME", user.home);
  process.cwd = plan.directory;
  process.uid = user.uid;
  process.gid = user.gid;
  // Without root and subordinate ids the kernel allows no groups but one's own: user_namespaces(7).
  if (files::read_if_exists("/proc/self/setgroups").value_or("") != "deny\n") {
    process.additional_gids = user.groups;
    process.additional_gids.insert(process.additional_gids.begin(), user.gid);  // as login(1) sets them
  }
  process.capabilities = security::for_user(security::default_capabilities(), user.uid);
  spec.process = std::move(process);
  spec.hostname = plan.hostname.empty() ? kHostname : plan.hostname;
  for (const uint64_t kind : {uint64_t{CLONE_NEWNS}, uint64_t{CLONE_NEWPID}, uint64_t{CLONE_NEWUTS}, uint64_t{CLONE_NEWIPC}}) {
    spec.namespaces.push_back({kind, ""});
  }
  if (!is_host_network(plan)) {
    spec.namespaces.push_back({CLONE_NEWNET, ""});
  }
  for (rootfs::Mount& mount : rootfs::default_mounts()) {
    runtime::MountPoint point;
    static_cast<rootfs::Mount&>(point) = std::move(mount);
    spec.mounts.push_back(std::move(point));
  }
  std::string hosts = fmt::format("127.0.0.1\tlocalhost {}\n::1\tlocalhost ip6-localhost ip6-loopback\n", spec.hostname);
  for (const auto& [name, address] : plan.hosts) {
    hosts += fmt::format("{}\t{}\n", address, name);
  }
  spec.mounts.push_back(bound_file(shared_file(shared + "/hosts", hosts), "/etc/hosts"));
  if (is_host_network(plan)) {
    const std::string resolv = files::read_if_exists("/etc/resolv.conf", 1 << 20).value_or("");
    spec.mounts.push_back(bound_file(shared_file(shared + "/resolv.conf", resolv), "/etc/resolv.conf"));
  }
  const auto masked = rootfs::default_masked_paths();
  const auto read_only = rootfs::default_read_only_paths();
  spec.masked_paths.assign(masked.begin(), masked.end());
  spec.read_only_paths.assign(read_only.begin(), read_only.end());
  spec.seccomp = security::default_seccomp(security::default_capabilities());
  return spec;
}

}  // namespace jigsaw::build
