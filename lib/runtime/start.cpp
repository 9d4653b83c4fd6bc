#include "base/error.h"
#include "base/log.h"
#include "runtime/container.h"
#include "runtime/hooks.h"
#include "runtime/start_socket.h"

namespace jigsaw::runtime {

void start(const std::string& state_root, const std::string& id) {
  StateDirectory directory = StateDirectory::open(state_root, id);
  directory.lock();
  State state = directory.load();
  const Status status = status_of(state);
  if (status != Status::kCreated) {
    throw fail("container {} can't be started: it is {}", id, name(status));
  }
  say_go(directory);
  state.started = true;
  directory.save(state);
  run_hooks_and_warn(state.poststart, state_json(state, Status::kRunning), "poststart");
}

}  // namespace jigsaw::runtime
