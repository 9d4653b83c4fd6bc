#include "runtime/hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sys.h"
#include "process/exec.h"
#include "process/signals.h"
#include "process/spawn.h"

namespace jigsaw::runtime {
namespace {

// The state as a file in memory: it can be read or not, and nobody waits for anybody.
Fd as_file(const std::string& text) {
  Fd file(check(::memfd_create("state", MFD_CLOEXEC), "make a memory file"));
  files::write_all(file.get(), text, "the state for a hook");
  check(::lseek(file.get(), 0, SEEK_SET), "rewind a memory file");
  return file;
}

std::vector<std::string> environment_of(const Hook& hook, const HookStage& stage) {
  if (hook.env) {
    return *hook.env;
  }
  return stage.where == HookStage::Where::kContainer ? std::vector<std::string>{} : process::current_environment();
}

[[noreturn]] void become_hook(const Hook& hook, const HookStage& stage, int state) {
  sys::setsid("a hook and what it starts form a group of their own, to be ended together");
  if (!stage.directory.empty()) {
    sys::chdir(stage.directory, "a hook stands in the bundle");
  }
  check(::dup2(state, STDIN_FILENO), "give the hook its stdin");
  std::vector<std::string> arguments = hook.args.empty() ? std::vector<std::string>{hook.path} : hook.args;
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  process::restore_signals();
  sys::execve(hook.path, arguments, environment_of(hook, stage), "a hook");
}

bool ends_in_time(const process::Child& child, const Hook& hook) {
  if (!hook.timeout) {
    return true;
  }
  pollfd wait{child.pidfd(), POLLIN, 0};
  const auto end = std::chrono::steady_clock::now() + *hook.timeout;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    const int rc = left.count() <= 0 ? 0 : ::poll(&wait, 1, static_cast<int>(std::min<int64_t>(left.count() + 1, INT32_MAX)));
    if (rc >= 0 || errno != EINTR) {
      return rc > 0;
    }
  }
}

void run_hook(const Hook& hook, const std::string& state, const HookStage& stage) {
  const Fd file = as_file(state);
  process::Child child = process::spawn({.why = "a hook is a program that runs beside the container"},
                                        [&](process::Gate&) -> int { become_hook(hook, stage, file.get()); });
  child.release();
  child.wait_started();
  const bool in_time = ends_in_time(child, hook);
  if (!in_time) {
    sys::kill(-child.pid(), SIGKILL, "the hook's time is over, and that of what it started");
  }
  const process::ExitStatus status = child.wait();
  if (!in_time) {
    throw fail("{} hook {} was not done after {} s", stage.name, hook.path, hook.timeout->count());
  }
  if (status.exit_code() != 0) {
    throw fail("{} hook {} failed: {}", stage.name, hook.path, status.text());
  }
}

}  // namespace

void run_hooks(const std::vector<Hook>& hooks, const StateText& state, const HookStage& stage) {
  for (const Hook& hook : hooks) {
    run_hook(hook, state(), stage);
  }
}

void run_hooks_and_warn(const std::vector<Hook>& hooks, const StateText& state, const HookStage& stage) {
  for (const Hook& hook : hooks) {
    try {
      run_hook(hook, state(), stage);
    } catch (const Error& error) {
      log::warning("{}", error.message());
    }
  }
}

}  // namespace jigsaw::runtime
