// What is done to the processes in a cgroup: listing, freezing, signalling, killing.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cgroups/cgroup.h"
#include "cgroups/tree.h"

namespace jigsaw::cgroups {
namespace {

using Clock = std::chrono::steady_clock;

// Sleeps a little longer each time.
class Patience {
 public:
  explicit Patience(std::chrono::milliseconds time) : deadline_(Clock::now() + time) {}
  bool wait() {
    if (Clock::now() > deadline_) {
      return false;
    }
    std::this_thread::sleep_for(pause_);
    pause_ = std::min(pause_ * 2, std::chrono::microseconds(20000));
    return true;
  }

 private:
  Clock::time_point deadline_;
  std::chrono::microseconds pause_{50};
};

// In a threaded cgroup, which a container may make of its own, only threads can be read; each stands for its process.
std::string members(int cgroup) {
  const std::string directory = fmt::format("/proc/self/fd/{}", cgroup);
  try {
    return files::read_if_exists(directory + "/cgroup.procs").value_or("");
  } catch (const Error& error) {
    if (error.error_number() != EOPNOTSUPP) {
      throw;
    }
    return files::read_if_exists(directory + "/cgroup.threads").value_or("");
  }
}

void collect(const std::string& directory, std::set<pid_t>& found) {
  const auto enter = [&](int cgroup) {
    const std::string table = members(cgroup);
    for (const std::string_view line : text::lines(table)) {
      if (const auto pid = text::to_u64(text::trim(line)); pid && *pid != 0) {
        found.insert(static_cast<pid_t>(*pid));
      }
    }
  };
  walk(directory, enter, {});
}

bool is_v2(const Place& place) { return place.hierarchy.version == Version::kV2; }

std::string freezer_state(const Place& place) {
  const auto text = files::read_if_exists(fmt::format("{}/{}", place.directory, is_v2(place) ? "cgroup.events" : "freezer.state"));
  if (!text) {
    return "";
  }
  if (!is_v2(place)) {
    return std::string(text::trim(*text));
  }
  return text->find("frozen 1") != std::string::npos ? "FROZEN" : "THAWED";
}

const Place& freezer_of(const Cgroup& cgroup) {
  const Place* place = cgroup.find("freezer");
  if (place == nullptr) {
    throw fail("the cgroup {} can't be frozen: it is in no tree with a freezer", cgroup.path());
  }
  return *place;
}

void write_freezer(const Place& place, std::string_view state, sys::Why why) {
  const std::string file = is_v2(place) ? "cgroup.freeze" : "freezer.state";
  const std::string_view value = is_v2(place) ? (state == "FROZEN" ? "1" : "0") : state;
  sys::write_file_at(place.fd.get(), file, value, fmt::format("{}/{}", place.directory, file), why);
}

}  // namespace

std::vector<pid_t> Cgroup::processes() const {
  // Any one tree knows all of them, except where somebody moved a process in one tree only: ask the trees that limit
  // and v2, and leave out the rest.
  std::set<pid_t> found;
  const Place* unified = find("unified");
  for (const Place& place : places_) {
    if (&place == unified || place.hierarchy.has("freezer") || place.hierarchy.has("pids") ||
        (unified == nullptr && places_.size() == 1)) {
      collect(place.directory, found);
    }
  }
  if (found.empty() && !places_.empty()) {
    collect(places_.front().directory, found);
  }
  return {found.begin(), found.end()};
}

bool Cgroup::frozen() const {
  const Place* place = find("freezer");
  return place != nullptr && freezer_state(*place) == "FROZEN";
}

void Cgroup::freeze(std::chrono::milliseconds patience) const {
  const Place& place = freezer_of(*this);
  Patience time(patience);
  for (int round = 1; true; ++round) {
    write_freezer(place, "FROZEN", "all its processes stop where they are");
    // v1 can hang half-way when a process forks or waits for a frozen one: thaw for a moment and try again.
    for (int look = 0; look < 12; ++look) {
      if (freezer_state(place) == "FROZEN") {
        return;
      }
      if (!time.wait()) {
        write_freezer(place, "THAWED", "not all of them could be frozen");
        throw fail("the cgroup {} does not freeze", place.directory).with_hint("a process is in an uninterruptible wait (state D)");
      }
    }
    if (!is_v2(place)) {
      write_freezer(place, "THAWED", "not all of them froze: once more");
    }
  }
}

void Cgroup::thaw() const { write_freezer(freezer_of(*this), "THAWED", "its processes go on"); }

void Cgroup::signal_all(int signal) const {
  if (signal == SIGKILL) {
    kill();
    return;
  }
  const bool stand_still = find("freezer") != nullptr && !frozen();
  if (stand_still) {
    freeze();
  }
  for (const pid_t pid : processes()) {
    sys::kill(pid, signal, "the signal is for every process of the cgroup");
  }
  if (stand_still) {
    thaw();
  }
}

void Cgroup::kill(std::chrono::milliseconds patience) const {
  const Place* unified = find("unified");
  const Place* freezer = find("freezer");
  const bool at_once = unified != nullptr && sys::try_write_file_at(unified->fd.get(), "cgroup.kill", "1", unified->directory + "/cgroup.kill",
                                                                    "SIGKILL to all of them at once, also to those that are just being born") == 0;
  Patience time(patience);
  while (true) {
    if (freezer != nullptr && freezer_state(*freezer) != "THAWED" && freezer_state(*freezer) != "") {
      thaw();  // a frozen process can't die on v1
    }
    const std::vector<pid_t> left = processes();
    if (left.empty()) {
      return;
    }
    if (!at_once || freezer == nullptr || !is_v2(*freezer)) {
      for (const pid_t pid : left) {
        sys::kill(pid, SIGKILL, "the cgroup has to become empty");
      }
    }
    if (!time.wait()) {
      throw fail("{} processes of the cgroup {} do not die, one is {}", left.size(), path_, left.front())
          .with_hint("a process in an uninterruptible wait (state D) dies when its wait ends");
    }
  }
}

}  // namespace jigsaw::cgroups
