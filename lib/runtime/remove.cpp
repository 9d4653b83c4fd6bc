#include <poll.h>
#include <signal.h>

#include "base/error.h"
#include "base/log.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "runtime/container.h"
#include "runtime/container_cgroup.h"
#include "runtime/create.h"
#include "runtime/hooks.h"
#include "runtime/scope.h"

namespace jigsaw::runtime {
namespace {

constexpr int kPatience = 10'000;      // milliseconds that a process is given to end
constexpr int kUsualPatience = 50;     // milliseconds in which one that is not frozen has ended

// A process that somebody froze (cgroup v1), perhaps elsewhere, does not even take a SIGKILL before it is thawed.
void thaw(const State& state) {
  const cgroups::Cgroup present = cgroups::Cgroup::of_process(cgroups::read_layout(), state.pid);
  if (present.exists() && present.frozen()) {
    present.thaw();
  }
}

bool ends_within(const Fd& process, int milliseconds) {
  pollfd wait{process.get(), POLLIN, 0};
  return ::poll(&wait, 1, milliseconds) != 0;
}

void kill_process(const State& state) {
  const auto process = open_process(state);
  if (!process) {
    return;
  }
  sys::send_signal(process->get(), SIGKILL, "the container ends here");
  if (!ends_within(*process, kUsualPatience)) {
    thaw(state);
    if (!ends_within(*process, kPatience)) {
      throw fail("process {} did not end within {} s of SIGKILL", state.pid, kPatience / 1000);
    }
  }
}

// What can be found of a container without its state: the cgroup that it has unless its config.json names another.
void remove_unreadable(StateFile& file, const std::string& id, const Error& why) {
  log::warning("{}: what can be found of container {} without its state is removed", why.message(), id);
  const cgroups::Layout layout = cgroups::read_layout();
  cgroups::Cgroup::open(layout, cgroups::usual_path(layout, "jigsaw-" + id)).clear();
  file.remove();
}

std::optional<State> load_for_removal(const StateFile& file, std::optional<Error>& unreadable) {
  try {
    return file.try_load();
  } catch (const Error& error) {
    unreadable = error;
    return std::nullopt;
  }
}

}  // namespace

// The cgroup's processes too: without a pid namespace of the container's own they do not die with its first one.
void remove_all(StateFile& file, const State& state) {
  cgroups::Cgroup cgroup = cgroup_of(state);
  kill_process(state);
  cgroup.clear();
  if (state.systemd) {
    end_scope(state.cgroup);
  }
  file.remove();
  run_hooks_and_warn(state.poststop, [&] { return state_json(state, Status::kStopped); }, {"poststop", state.bundle});
}

void remove(const std::string& state_root, const std::string& id, Force force) {
  auto file = StateFile::find(state_root, id);
  if (!file || !file->lock_if_exists()) {  // there never was, or somebody who removes it as well was quicker
    if (force == Force::kYes) {
      return;
    }
    throw fail("container {} does not exist", id);
  }
  std::optional<Error> unreadable;
  const auto state = load_for_removal(*file, unreadable);
  if (unreadable && force == Force::kNo) {
    throw *unreadable;
  }
  if (unreadable) {
    return remove_unreadable(*file, id, *unreadable);
  }
  if (!state) {  // its creator died between mkdir and the first record: there is nothing else
    file->remove();
    return;
  }
  const Status status = status_of(*state);
  if (status != Status::kStopped && force == Force::kNo) {
    throw Error(fmt::format("container {} can't be deleted: it is {}", id, name(status)), "stop it first, or give --force");
  }
  remove_all(*file, *state);
}

std::vector<std::string> sweep(const std::string& state_root) {
  std::vector<std::string> removed;
  for (const std::string& id : list_ids(state_root)) {
    auto file = StateFile::find(state_root, id);
    if (!file || !file->try_lock()) {
      continue;  // its creator lives
    }
    const auto state = file->try_load();
    if (state && state->created) {
      continue;
    }
    state ? remove_all(*file, *state) : file->remove();
    removed.push_back(id);
  }
  return removed;
}

}  // namespace jigsaw::runtime
