#include "runtime/activation.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/log.h"
#include "base/text.h"
#include "process/exec.h"

namespace jigsaw::runtime {
namespace {

constexpr const char* kPlace = "/run/notify/notify.sock";
constexpr uint64_t kMostDescriptors = 1024;

void hand_on_descriptors(const Activation& activation, Process& process, Surroundings& surroundings) {
  const bool ours = activation.listen_pid.empty() || activation.listen_pid == std::to_string(::getpid());
  if (activation.listen_fds.empty() || !ours) {
    return;
  }
  const auto count = static_cast<int>(text::parse_u64(activation.listen_fds, "LISTEN_FDS", kMostDescriptors));
  surroundings.preserve_fds = std::max(surroundings.preserve_fds, count);
  process::set_variable(process.env, "LISTEN_FDS=" + activation.listen_fds);
  process::set_variable(process.env, "LISTEN_PID=1");
  if (!activation.listen_names.empty()) {
    process::set_variable(process.env, "LISTEN_FDNAMES=" + activation.listen_names);
  }
}

void hand_on_notify_socket(const std::string& path, Spec& spec) {
  if (path.empty()) {
    return;
  }
  if (!path.starts_with('/')) {
    log::warning("NOTIFY_SOCKET {} is not handed on: it is no path", path);
    return;
  }
  MountPoint mount;
  mount.destination = kPlace;
  mount.type = "bind";
  mount.source = path;
  mount.kind = rootfs::MountKind::kBind;
  spec.mounts.push_back(mount);
  process::set_variable(spec.process->env, std::string("NOTIFY_SOCKET=") + kPlace);
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Activation current_activation() {
  return {variable("LISTEN_FDS"), variable("LISTEN_PID"), variable("LISTEN_FDNAMES"), variable("NOTIFY_SOCKET")};
}

void hand_on(const Activation& activation, Spec& spec, Surroundings& surroundings) {
  if (!spec.process) {
    return;
  }
  hand_on_descriptors(activation, *spec.process, surroundings);
  hand_on_notify_socket(activation.notify_socket, spec);
}

}  // namespace jigsaw::runtime
