#include "runtime/listener.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "runtime/unix_socket.h"

namespace jigsaw::runtime {
namespace {

constexpr const char* kAgent = "seccomp agent";
// The version of the process state's form, not of a container's (the example of config-linux.md).
constexpr const char* kFormat = "0.2.0";

}  // namespace

void validate_listener(const security::Seccomp& seccomp) {
  bool notifies = seccomp.default_action == "SCMP_ACT_NOTIFY";
  if (notifies) {
    throw Error("seccomp: SCMP_ACT_NOTIFY can't be the default action: handing over the listener would wait for its listener");
  }
  for (const security::SeccompRule& rule : seccomp.rules) {
    if (rule.action == "SCMP_ACT_NOTIFY") {
      notifies = true;
      if (std::find(rule.names.begin(), rule.names.end(), "sendmsg") != rule.names.end()) {
        throw Error("seccomp: SCMP_ACT_NOTIFY can't be used for sendmsg: the listener is handed over by it");
      }
    }
  }
  if (notifies && seccomp.listener_path.empty()) {
    throw Error("seccomp: SCMP_ACT_NOTIFY needs a listenerPath", "name the socket of a seccomp agent");
  }
  if (seccomp.listener_path.empty() && !seccomp.listener_metadata.empty()) {
    throw Error("seccomp: listenerMetadata without a listenerPath");
  }
}

std::optional<Listener> connect_listener(const std::string& path, const std::string& metadata) {
  if (path.empty()) {
    return std::nullopt;
  }
  return Listener{path, metadata, connect_unix(path, kAgent)};
}

pid_t pid_outside() {
  return static_cast<pid_t>(text::parse_u64(std::filesystem::read_symlink("/proc/self").string(), "our pid", INT32_MAX));
}

std::string process_state(const Listener& listener, const State& state, Status status, pid_t pid) {
  json::Value value{{"ociVersion", kFormat},
                    {"fds", {"seccompFd"}},
                    {"pid", pid},
                    {"metadata", listener.metadata},
                    {"state", json::parse(state_json(state, status), "state")}};
  return json::dump(value);
}

void announce(const Listener& listener, const std::string& process_state, int descriptor) {
  send_descriptor(listener.socket.get(), process_state, descriptor, kAgent);
}

}  // namespace jigsaw::runtime
