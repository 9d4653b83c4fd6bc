#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "runtime/container.h"
#include "runtime/container_cgroup.h"
#include "runtime/create.h"
#include "runtime/scope.h"

namespace jigsaw::runtime {
namespace {

State load_alive(const std::string& state_root, const std::string& id) {
  State state = StateFile::open(state_root, id).load();
  if (status_of(state) == Status::kStopped) {
    throw fail("container {} is not running", id);
  }
  return state;
}

cgroups::Cgroup need_cgroup(const State& state) {
  if (state.cgroup.empty()) {
    throw Error(fmt::format("container {} has no cgroup", state.id), "without privilege there was no place to make one");
  }
  return cgroup_of(state);
}

}  // namespace

Status current_status(const State& state) {
  const Status status = status_of(state);
  if (status != Status::kRunning) {
    return status;
  }
  const cgroups::Cgroup cgroup = cgroup_of(state);
  return cgroup.exists() && cgroup.frozen() ? Status::kPaused : status;
}

void kill(const std::string& state_root, const std::string& id, int signal, Reach reach) {
  const State state = StateFile::open(state_root, id).load();
  const auto process = open_process(state);
  if (reach == Reach::kAll && !state.cgroup.empty()) {
    return cgroup_of(state).signal_all(signal);  // none at all is no error: shims make sure of that after the end
  }
  if (!process || !sys::send_signal(process->get(), signal, "what the caller has to say to the container")) {
    throw fail("container not running");  // engines know this text
  }
  // A frozen process takes a SIGKILL only when it is thawed (cgroup v1).
  if (signal == SIGKILL) {
    const cgroups::Cgroup cgroup = cgroup_of(state);
    if (cgroup.exists() && cgroup.frozen()) {
      cgroup.thaw();
    }
  }
}

void pause(const std::string& state_root, const std::string& id) {
  const State state = load_alive(state_root, id);
  if (!state.started) {
    throw fail("container {} can't be paused: it is {}", id, name(status_of(state)));
  }
  need_cgroup(state).freeze();
}

void resume(const std::string& state_root, const std::string& id) {
  const cgroups::Cgroup cgroup = need_cgroup(load_alive(state_root, id));
  if (!cgroup.frozen()) {
    throw fail("container {} is not paused", id);
  }
  cgroup.thaw();
}

void update(const std::string& state_root, const std::string& id, const cgroups::Limits& limits) {
  cgroups::validate(limits);
  const State state = load_alive(state_root, id);
  const cgroups::Cgroup cgroup = need_cgroup(state);
  if (state.systemd) {
    update_scope(state.cgroup, limits);
  }
  cgroup.apply(limits);
}

std::vector<pid_t> processes(const std::string& state_root, const std::string& id) {
  const State state = StateFile::open(state_root, id).load();
  const cgroups::Cgroup cgroup = cgroup_of(state);
  if (!cgroup.exists()) {
    return status_of(state) == Status::kStopped ? std::vector<pid_t>{} : std::vector<pid_t>{state.pid};
  }
  std::vector<pid_t> pids = cgroup.processes();
  std::sort(pids.begin(), pids.end());
  return pids;
}

}  // namespace jigsaw::runtime
