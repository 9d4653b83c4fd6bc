#include "engine/plan.h"

#include <linux/mount.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "engine/names.h"
#include "process/exec.h"
#include "rootfs/masks.h"

namespace jigsaw::engine {
namespace {

std::vector<runtime::Namespace> namespaces_of(const RunOptions& options) {
  std::vector<runtime::Namespace> result;
  for (const uint64_t kind : {CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWCGROUP}) {
    result.push_back({.kind = kind});
  }
  if (options.pid_mode.empty()) {
    result.push_back({.kind = CLONE_NEWPID});
  } else if (options.pid_mode != "host") {
    throw fail("--pid must be host, not {}", text::quoted(options.pid_mode));
  }
  if (options.network == "none") {
    result.push_back({.kind = CLONE_NEWNET});
  } else if (options.network != "host") {
    throw Error(fmt::format("unknown network {}", text::quoted(options.network)),
                "none: a network namespace with loopback only; host: the network of the host");
  }
  return result;
}

runtime::MountPoint bound(const std::string& source, const std::string& destination, uint64_t attributes) {
  runtime::MountPoint mount;
  mount.destination = destination;
  mount.source = source;
  mount.kind = rootfs::MountKind::kRecursiveBind;
  mount.set = attributes;
  return mount;
}

runtime::MountPoint tmpfs(const std::string& text) {
  const size_t colon = text.find(':');
  runtime::MountPoint mount;
  mount.destination = text.substr(0, colon);
  if (!mount.destination.starts_with('/')) {
    throw Error(fmt::format("--tmpfs needs an absolute path, not {}", text::quoted(text)), "write it like /tmp or /tmp:size=64m");
  }
  mount.type = "tmpfs";
  mount.source = "tmpfs";
  std::vector<std::string> words = {"nosuid", "nodev", "noexec"};
  if (colon != std::string::npos) {
    for (const std::string_view word : text::split(std::string_view(text).substr(colon + 1), ',')) {
      words.emplace_back(word);
    }
  }
  rootfs::apply_options(mount, words);
  return mount;
}

uint64_t shm_bytes(const RunOptions& options) {
  const uint64_t bytes = text::parse_size(options.shm_size, "--shm-size");
  if (bytes == 0) {
    throw fail("--shm-size must be more than nothing");  // to a tmpfs, 0 means no limit
  }
  return bytes;
}

std::vector<runtime::MountPoint> mounts_of(const PlanInput& input) {
  const RunOptions& options = input.options;
  std::vector<runtime::MountPoint> result;
  for (const rootfs::Mount& mount : rootfs::default_mounts()) {
    result.emplace_back(runtime::MountPoint{mount, {}});
    if (mount.destination == "/dev/shm" && !options.shm_size.empty()) {
      std::vector<std::string>& words = result.back().options;
      std::replace_if(words.begin(), words.end(), [](const std::string& word) { return word.starts_with("size="); },
                      fmt::format("size={}", shm_bytes(options)));
    }
  }
  for (const char* name : {"hosts", "hostname", "resolv.conf"}) {
    const std::string source = fmt::format("{}/{}", input.files, name);
    if (std::filesystem::exists(source)) {
      result.push_back(bound(source, fmt::format("/etc/{}", name), 0));
    }
  }
  for (const Volume& volume : options.volumes) {
    result.push_back(bound(volume.source, volume.destination, volume.read_only ? MOUNT_ATTR_RDONLY : 0));
  }
  for (const std::string& text : options.tmpfs) {
    result.push_back(tmpfs(text));
  }
  return result;
}

runtime::Process process_of(const PlanInput& input, const std::string& hostname) {
  const RunOptions& options = input.options;
  const security::CapabilitySet base =
      options.privileged ? security::every_capability() : security::default_capabilities();
  runtime::Process process;
  process.terminal = options.terminal;
  process.uid = input.user.uid;
  process.gid = input.user.gid;
  process.additional_gids = input.user.groups;
  process.args = command_of(input.config, options);
  process.env = environment_of(input.config, options, hostname, input.user);
  process.cwd = !options.working_directory.empty()     ? options.working_directory
                : !input.config.working_dir.empty() ? input.config.working_dir
                                                       : "/";
  process.capabilities = security::for_user(
      security::adjust(base, options.add_capabilities, options.drop_capabilities), input.user.uid);
  process.no_new_privileges = options.no_new_privileges;
  for (const std::string& limit : options.ulimits) {
    process.rlimits.push_back(security::parse_ulimit(limit));
  }
  if (!process.cwd.starts_with('/')) {
    throw Error(fmt::format("the working directory {} is not absolute", text::quoted(process.cwd)), "begin it with /");
  }
  return process;
}

std::map<std::string, std::string> sysctls_of(const RunOptions& options) {
  std::map<std::string, std::string> result;
  for (const std::string& text : options.sysctls) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw fail("--sysctl must be KEY=value, not {}", text::quoted(text));
    }
    result[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return result;
}

}  // namespace

void validate(const RunOptions& options) {
  if (!options.name.empty()) {
    check_name(options.name);
  }
  namespaces_of(options);
  cgroups::parse_limits(options.limits);
  security::adjust(0, options.add_capabilities, options.drop_capabilities);
  sysctls_of(options);
  if (!options.shm_size.empty()) {
    shm_bytes(options);
  }
  for (const std::string& limit : options.ulimits) {
    security::parse_ulimit(limit);
  }
  for (const std::string& text : options.tmpfs) {
    tmpfs(text);
  }
}

std::vector<std::string> command_of(const image::RunConfig& config, const RunOptions& options) {
  std::vector<std::string> command = options.entrypoint.value_or(config.entrypoint);
  const bool own_entrypoint = options.entrypoint.has_value();
  const std::vector<std::string>& rest =
      !options.arguments.empty() || own_entrypoint ? options.arguments : config.cmd;
  command.insert(command.end(), rest.begin(), rest.end());
  if (command.empty()) {
    throw Error(fmt::format("the image {} names no program to run", text::quoted(options.image)),
                fmt::format("give one: jigsaw run {} PROGRAM", options.image));
  }
  return command;
}

std::vector<std::string> environment_of(const image::RunConfig& config, const RunOptions& options,
                                        const std::string& hostname, const security::User& user) {
  std::vector<std::string> environment = {fmt::format("PATH={}", process::kDefaultPath), "HOSTNAME=" + hostname};
  if (options.terminal) {
    environment.emplace_back("TERM=xterm");
  }
  for (const std::string& variable : config.env) {
    if (variable.find('=') != std::string::npos) {  // without a value it would ask for ours
      process::set_variable(environment, variable);
    }
  }
  for (const std::string& variable : options.environment) {
    process::set_variable(environment, variable);
  }
  if (std::none_of(environment.begin(), environment.end(),
                   [](const std::string& variable) { return variable.starts_with("HOME="); })) {
    environment.push_back("HOME=" + user.home);
  }
  return environment;
}

runtime::Spec plan(const PlanInput& input) {
  const RunOptions& options = input.options;
  runtime::Spec spec;
  spec.hostname = options.hostname.empty() ? input.id.substr(0, 12) : options.hostname;
  spec.process = process_of(input, spec.hostname);
  spec.root_path = "/";
  spec.root_read_only = options.read_only;
  spec.namespaces = namespaces_of(options);
  spec.mounts = mounts_of(input);
  spec.cgroups_path = fmt::format("/jigsaw-{}", input.id);
  spec.limits = cgroups::parse_limits(options.limits);
  spec.sysctl = sysctls_of(options);
  for (const GrantedDevice& granted : options.devices) {
    spec.devices.push_back(granted.device);
  }
  if (!options.privileged) {
    spec.limits.devices.insert(spec.limits.devices.begin(), cgroups::DeviceRule{});
    for (const GrantedDevice& granted : options.devices) {
      spec.limits.devices.push_back(granted.rule);
    }
    const auto masked = rootfs::default_masked_paths();
    const auto read_only = rootfs::default_read_only_paths();
    spec.masked_paths.assign(masked.begin(), masked.end());
    spec.read_only_paths.assign(read_only.begin(), read_only.end());
    if (!options.unconfined) {
      spec.seccomp = security::default_seccomp(spec.process->capabilities->bounding);
    }
  }
  return spec;
}

}  // namespace jigsaw::engine
