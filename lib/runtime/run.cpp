#include <sys/prctl.h>

#include "base/error.h"
#include "base/log.h"
#include "base/sys.h"
#include "cgroups/stats.h"
#include "process/signals.h"
#include "process/terminal.h"
#include "runtime/create.h"
#include "runtime/hooks.h"
#include "runtime/scope.h"

namespace jigsaw::runtime {
namespace {

process::ExitStatus wait_for_end(Made& made, process::SuperviseOptions::Requests requests) {
  if (!made.terminal) {
    return process::supervise(made.child, {.requests = requests});
  }
  const process::RawMode raw(0);
  process::copy_window_size(0, made.terminal.get());
  return process::supervise(made.child, {.terminal = made.terminal.get(), .requests = requests});
}

void clear_away(Made& made) {
  made.cgroup.clear();
  if (made.state.systemd) {
    end_scope(made.state.cgroup);
  }
  made.file.remove();
  run_hooks_and_warn(made.state.poststop, [&] { return state_json(made.state, Status::kStopped); }, {"poststop", made.state.bundle});
}

}  // namespace

process::ExitStatus run(const Spec& spec, const Surroundings& surroundings, const RunOptions& options,
                        std::optional<std::string>* oom) {
  const bool foreground = options.mode == RunOptions::Mode::kForeground;
  std::optional<process::SignalGuard> guard;
  if (foreground) {
    guard.emplace();
  }
  Made made = make(spec, surroundings, foreground ? Starting::kAtOnce : Starting::kAtOnceDetached, options.starting);
  try {
    made.child.wait_started();
    run_hooks(made.state.poststart, [&] { return state_json(made.state, Status::kRunning); }, {"poststart", surroundings.bundle});
    if (!foreground) {
      made.child.detach();
      return {};
    }
    const process::ExitStatus status = wait_for_end(made, options.requests);
    if (oom != nullptr) {
      *oom = cgroups::oom_notice(made.cgroup);
    }
    if (!options.keep) {
      clear_away(made);
    }
    return status;
  } catch (...) {
    clear_away(made);
    throw;
  }
}

}  // namespace jigsaw::runtime
