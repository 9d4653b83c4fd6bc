// What a container is doing, by its record and by its first process.
#include <sys/syscall.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "runtime/state.h"

namespace jigsaw::runtime {
namespace {

// Fields 3 (state), 20 (threads) and 22 (start time) of /proc/PID/stat, behind a name that may hold anything.
struct Stat {
  char state = 'X';
  uint64_t threads = 0;
  uint64_t start = 0;
  // A process whose first thread has ended looks like a zombie while the others go on.
  bool ended() const { return state == 'X' || (state == 'Z' && threads < 2); }
};
Stat read_stat(pid_t pid) {
  const auto text = files::read_if_exists(fmt::format("/proc/{}/stat", pid));
  const size_t end = text ? text->rfind(") ") : std::string::npos;
  if (end == std::string::npos) {
    return {};
  }
  const auto fields = text::words(std::string_view(*text).substr(end + 2));
  return fields.size() < 20 ? Stat{} : Stat{fields[0].front(), text::to_u64(fields[17]).value_or(0), text::to_u64(fields[19]).value_or(0)};
}

}  // namespace

std::string_view name(Status status) {
  switch (status) {
    case Status::kCreating:
      return "creating";
    case Status::kCreated:
      return "created";
    case Status::kRunning:
      return "running";
    case Status::kPaused:
      return "paused";
    case Status::kStopped:
      return "stopped";
  }
  return "stopped";
}

uint64_t start_time(pid_t pid) {
  const Stat stat = pid > 0 ? read_stat(pid) : Stat{};
  return stat.ended() ? 0 : stat.start;
}

std::optional<Fd> open_process(const State& state) {
  if (state.pid <= 0) {
    return std::nullopt;
  }
  // First the descriptor, then the look at the start time: what it refers to can't change any more.
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, state.pid, 0)));
  if (!pidfd || start_time(state.pid) != state.pid_start) {
    return std::nullopt;
  }
  return pidfd;
}

Status status_of(const State& state) {
  if (start_time(state.pid) != state.pid_start || state.pid == 0) {
    return state.created || state.pid != 0 ? Status::kStopped : Status::kCreating;
  }
  return !state.created ? Status::kCreating : state.started ? Status::kRunning : Status::kCreated;
}

std::string state_json(const State& state, Status status) {
  json::Value value{{"ociVersion", state.version}, {"id", state.id}};
  if (status != Status::kStopped) {
    value["pid"] = state.pid;
  }
  value["status"] = std::string(name(status));
  value["bundle"] = state.bundle;
  value["rootfs"] = state.rootfs;
  value["created"] = text::rfc3339(state.when);
  value["owner"] = state.owner;
  if (!state.annotations.empty()) {
    value["annotations"] = state.annotations;
  }
  return json::dump(value);
}

}  // namespace jigsaw::runtime
