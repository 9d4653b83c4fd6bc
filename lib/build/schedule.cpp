#include "build/schedule.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/interruption.h"
#include "base/sys.h"
#include "build/bases.h"
#include "process/spawn.h"

namespace jigsaw::build {
namespace {

constexpr const char* kBuilt = "built";

class Schedule {
 public:
  explicit Schedule(Workshop& workshop) : workshop_(workshop) {}

  void run() {
    try {
      go_through();
    } catch (const Error&) {
      end_the_others();
      throw;
    }
  }

 private:
  void go_through() {
    while (true) {
      advance_by_cache();
      if (left() == 0) {
        return;
      }
      Interruption::check();
      const std::vector<size_t> ready = stuck();
      if (ready.size() == 1 && children_.empty()) {
        if (runners_.at(ready[0])->advance(Mode::kExecute)) {
          finish(ready[0]);
        } else {
          waiting_.insert(ready[0]);
        }
        continue;
      }
      for (const size_t index : ready) {
        start(index);
      }
      wait_for_one();
    }
  }

  // They are asked, not killed: each takes down what it has set up.
  void end_the_others() {
    for (const auto& [index, child] : children_) {
      sys::send_signal(child.pidfd(), SIGTERM, "another stage has failed: the build ends");
    }
    for (auto& [index, child] : children_) {
      child.wait();
    }
    children_.clear();
  }

  size_t left() const {
    size_t count = 0;
    for (const size_t index : workshop_.plan.order) {
      count += workshop_.stages[index] ? 0 : 1;
    }
    return count;
  }

  // A stage begins when its base is there: the stages that its steps read may be built beside it.
  bool can_start(size_t index) const {
    const Origin& base = workshop_.plan.stages[index].base;
    return base.kind != Origin::Kind::kStage || workshop_.stages[base.stage];
  }

  // Begins every stage whose base is there, and goes on with those that waited for what is finished now; those that the
  // cache holds whole are finished at once.
  void advance_by_cache() {
    for (bool again = true; again;) {
      again = false;
      for (const size_t index : workshop_.plan.order) {
        if (workshop_.stages[index] || !can_start(index)) {
          continue;
        }
        if (!runners_.contains(index)) {
          runners_.emplace(index, std::make_unique<StageRunner>(workshop_, index,
                                                                base_of(workshop_, workshop_.plan.stages[index])));
          waiting_.insert(index);
        }
        StageRunner& runner = *runners_.at(index);
        if (!waiting_.contains(index) || runner.waits()) {
          continue;
        }
        waiting_.erase(index);
        if (runner.advance(Mode::kCachedOnly)) {
          finish(index);
          again = true;
        } else if (runner.waits()) {
          waiting_.insert(index);
        }
      }
    }
  }

  std::vector<size_t> stuck() const {
    std::vector<size_t> result;
    for (const auto& [index, runner] : runners_) {
      if (!workshop_.stages[index] && !children_.contains(index) && !waiting_.contains(index)) {
        result.push_back(index);
      }
    }
    return result;
  }

  void finish(size_t index) {
    workshop_.stages[index] = runners_.at(index)->take_result();
    runners_.erase(index);
  }

  std::string result_file(size_t index) const { return fmt::format("{}/{}", directory_->path(), index); }

  void start(size_t index) {
    if (directory_ == nullptr) {
      directory_ = std::make_unique<files::TemporaryDirectory>(workshop_.store.temporary_directory(), "stages-");
    }
    const pid_t parent = ::getpid();
    process::Child child = process::spawn({.why = "a stage that depends on no other is built side by side with them"},
                                          [&, index, parent](process::Gate& gate) -> int {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) {
        return kExitFailure;
      }
      StageRunner& runner = *runners_.at(index);
      runner.advance(Mode::kExecute);
      files::replace(result_file(index), runner.write_result(), {.mode = 0600, .sync = false});
      workshop_.context_hashes.save();
      gate.tell(kBuilt);
      return 0;
    });
    child.release();
    children_.emplace(index, std::move(child));
  }

  void wait_for_one() {
    std::vector<pollfd> waiting;
    std::vector<size_t> indices;
    for (const auto& [index, child] : children_) {
      waiting.push_back({child.pidfd(), POLLIN, 0});
      indices.push_back(index);
    }
    while (::poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno != EINTR) {
        throw system_error(errno, "wait for a stage");
      }
      Interruption::check();
    }
    for (size_t i = 0; i < waiting.size(); ++i) {
      if ((waiting[i].revents & POLLIN) == 0) {
        continue;
      }
      process::Child child = std::move(children_.at(indices[i]));
      children_.erase(indices[i]);
      child.wait_reached(kBuilt);  // throws what the stage threw
      child.wait();
      StageRunner& runner = *runners_.at(indices[i]);
      runner.read_result(files::read(result_file(indices[i])));
      if (runner.finished()) {
        finish(indices[i]);
      } else {
        waiting_.insert(indices[i]);
      }
    }
  }

  Workshop& workshop_;
  std::map<size_t, std::unique_ptr<StageRunner>> runners_;
  std::set<size_t> waiting_;  // those whose next step reads a stage that is not finished
  std::map<size_t, process::Child> children_;
  std::unique_ptr<files::TemporaryDirectory> directory_;
};

}  // namespace

void build_stages(Workshop& workshop) { Schedule(workshop).run(); }

}  // namespace jigsaw::build
