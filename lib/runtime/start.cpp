#include <poll.h>

#include "base/error.h"
#include "base/log.h"
#include "runtime/container.h"
#include "runtime/create.h"
#include "runtime/hooks.h"
#include "runtime/start_socket.h"

namespace jigsaw::runtime {
namespace {

constexpr int kPatience = 5'000;  // milliseconds

}  // namespace

void start(const std::string& state_root, const std::string& id) {
  StateFile file = StateFile::open(state_root, id);
  file.lock();
  State state = file.load();
  const Status status = status_of(state);
  if (status != Status::kCreated) {
    throw fail("container {} can't be started: it is {}", id, name(status));
  }
  const auto process = open_process(state);
  try {
    say_go(file);
  } catch (const Error&) {
    // Who asks next shall be told that it is stopped: its process is on its way out.
    pollfd end{process ? process->get() : -1, POLLIN, 0};
    ::poll(&end, 1, kPatience);
    throw;
  }
  state.started = true;
  file.save_progress(state);
  try {
    run_hooks(state.poststart, [&] { return state_json(state, Status::kRunning); }, {"poststart", state.bundle});
  } catch (const Error&) {
    remove_all(file, state);  // "generate an error, stop the container", and delete it (runtime.md, Lifecycle, 9)
    throw;
  }
}

}  // namespace jigsaw::runtime
