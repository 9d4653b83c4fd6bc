#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "cgroups/stats.h"
#include "oci/commands.h"

namespace jigsaw::oci {
namespace {

std::string read_input(const std::string& file) {
  return file == "-" ? files::read_fd(0, "stdin") : files::read(file);
}

// Numbers as runc's flags take them; "-1" lifts a limit.
struct Numbers {
  std::string blkio_weight, cpu_period, cpu_quota, cpu_burst, cpu_shares, cpu_rt_period, cpu_rt_runtime, cpuset_cpus, cpuset_mems,
      cpu_idle, memory, memory_reservation, memory_swap, kernel_memory, kernel_memory_tcp, pids_limit, cache_schema;
};

std::optional<int64_t> number(const std::string& text, const char* what) {
  return text.empty() ? std::nullopt : std::optional(text::parse_i64(text, what));
}
std::optional<uint64_t> positive(const std::string& text, const char* what) {
  return text.empty() ? std::nullopt : std::optional(text::parse_u64(text, what));
}
std::optional<int64_t> bytes(const std::string& text, const char* what) {
  return text.empty() ? std::nullopt : text == "-1" ? std::optional<int64_t>(-1) : std::optional(static_cast<int64_t>(text::parse_size(text, what)));
}

cgroups::Limits from_numbers(const Numbers& n) {
  if (!n.cache_schema.empty()) {
    throw Error("--l3-cache-schema and --mem-bw-schema are not supported: this runtime does not manage caches (resctrl)");
  }
  cgroups::Limits limits;
  limits.block_io.weight = positive(n.blkio_weight, "--blkio-weight");
  limits.cpu.period = positive(n.cpu_period, "--cpu-period");
  limits.cpu.quota = number(n.cpu_quota, "--cpu-quota");
  limits.cpu.burst = positive(n.cpu_burst, "--cpu-burst");
  limits.cpu.shares = positive(n.cpu_shares, "--cpu-share");
  limits.cpu.realtime_period = positive(n.cpu_rt_period, "--cpu-rt-period");
  limits.cpu.realtime_runtime = number(n.cpu_rt_runtime, "--cpu-rt-runtime");
  limits.cpu.idle = number(n.cpu_idle, "--cpu-idle");
  limits.cpu.cpus = n.cpuset_cpus;
  limits.cpu.mems = n.cpuset_mems;
  limits.memory.limit = bytes(n.memory, "--memory");
  limits.memory.reservation = bytes(n.memory_reservation, "--memory-reservation");
  limits.memory.swap = bytes(n.memory_swap, "--memory-swap");
  limits.memory.kernel = bytes(n.kernel_memory, "--kernel-memory");
  limits.memory.kernel_tcp = bytes(n.kernel_memory_tcp, "--kernel-memory-tcp");
  limits.pids = number(n.pids_limit, "--pids-limit");
  return limits;
}

// The form that engines read from runc's `events --stats`.
json::Value stats_json(const std::string& id, const cgroups::Stats& stats) {
  json::Value data = json::Value::object();
  if (stats.cpu) {
    data["cpu"] = {{"usage", {{"total", stats.cpu->usage_ns}, {"kernel", stats.cpu->system_ns}, {"user", stats.cpu->user_ns}}},
                   {"throttling", {{"periods", stats.cpu->periods}, {"throttledPeriods", stats.cpu->throttled_periods},
                                   {"throttledTime", stats.cpu->throttled_ns}}}};
  }
  if (stats.memory) {
    json::Value usage = {{"usage", stats.memory->usage}, {"failcnt", stats.memory->failures}};
    if (stats.memory->limit) {
      usage["limit"] = *stats.memory->limit;
    }
    if (stats.memory->peak) {
      usage["max"] = *stats.memory->peak;
    }
    data["memory"] = {{"cache", stats.memory->cache}, {"usage", usage}, {"raw", {{"rss", stats.memory->anonymous}}}};
  }
  if (stats.pids) {
    data["pids"] = {{"current", stats.pids->current}, {"limit", stats.pids->limit.value_or(0)}};
  }
  return {{"type", "stats"}, {"id", id}, {"data", data}};
}

void print_line(const json::Value& line) {
  std::fputs((json::dump(line) + "\n").c_str(), stdout);
  std::fflush(stdout);
}

void print_stats(const std::string& id) {
  const runtime::State state = runtime::StateFile::open(state_root(), id).load();
  if (runtime::status_of(state) == runtime::Status::kStopped) {
    throw fail("container {} is not running", id);
  }
  if (state.cgroup.empty()) {
    throw fail("container {} has no cgroup: nothing is counted for it", id);
  }
  const cgroups::Stats stats = cgroups::read_stats(cgroups::Cgroup::open(cgroups::read_layout(), state.cgroup));
  print_line(stats_json(id, stats));
}

// Until the container ends: its usage every `interval`, and a line whenever the kernel killed one of it for memory.
void watch(const std::string& id, std::chrono::milliseconds interval) {
  constexpr auto kLook = std::chrono::milliseconds(100);
  const runtime::State state = runtime::StateFile::open(state_root(), id).load();
  const cgroups::Cgroup cgroup = cgroups::Cgroup::open(cgroups::read_layout(), state.cgroup);
  uint64_t killed = cgroups::oom_kills(cgroup);
  auto next = std::chrono::steady_clock::now() + interval;
  while (runtime::status_of(state) != runtime::Status::kStopped) {
    std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(kLook, interval));
    const uint64_t now = cgroups::oom_kills(cgroup);
    if (now > killed) {
      print_line({{"type", "oom"}, {"id", id}});
    }
    killed = std::max(killed, now);
    if (std::chrono::steady_clock::now() >= next && runtime::status_of(state) != runtime::Status::kStopped) {
      print_line(stats_json(id, cgroups::read_stats(cgroup)));
      next += interval;
    }
  }
}

}  // namespace

void add_update(CLI::App& app) {
  CLI::App* command = app.add_subcommand("update", "change the limits of a container");
  static std::string id;
  static std::string resources;
  static Numbers n;
  command->add_option("-r,--resources", resources, "file with linux.resources as JSON, or - for stdin");
  command->add_option("--blkio-weight", n.blkio_weight, "10 to 1000");
  command->add_option("--cpu-period", n.cpu_period, "microseconds");
  command->add_option("--cpu-quota", n.cpu_quota, "microseconds in each period");
  command->add_option("--cpu-burst", n.cpu_burst, "microseconds");
  command->add_option("--cpu-share", n.cpu_shares, "relative weight, 2 to 262144");
  command->add_option("--cpu-rt-period", n.cpu_rt_period, "microseconds");
  command->add_option("--cpu-rt-runtime", n.cpu_rt_runtime, "microseconds");
  command->add_option("--cpuset-cpus", n.cpuset_cpus, "0-2,7");
  command->add_option("--cpuset-mems", n.cpuset_mems, "memory nodes");
  command->add_option("--cpu-idle", n.cpu_idle, "1: only when nobody else wants to run");
  command->add_option("--memory", n.memory, "bytes, or 64m");
  command->add_option("--memory-reservation", n.memory_reservation, "bytes, or 64m");
  command->add_option("--memory-swap", n.memory_swap, "memory and swap together");
  command->add_option("--kernel-memory", n.kernel_memory, "the kernel's memory: old kernels with cgroup v1 only");
  command->add_option("--kernel-memory-tcp", n.kernel_memory_tcp, "buffers of TCP: cgroup v1 only");
  for (const char* flag : {"--l3-cache-schema", "--mem-bw-schema"}) {
    command->add_option(flag, n.cache_schema, "refused: this runtime does not manage caches (resctrl)");
  }
  command->add_option("--pids-limit", n.pids_limit, "processes and threads");
  add_id(*command, id);
  on_run(*command, [] {
    runtime::update(state_root(), id,
                    resources.empty() ? from_numbers(n) : runtime::parse_limits(read_input(resources), resources));
    return 0;
  });
}

void add_events(CLI::App& app) {
  CLI::App* command = app.add_subcommand("events", "what a container uses, every few seconds, and when memory runs out");
  static std::string id;
  static std::string interval = "5s";
  static bool once = false;
  command->add_flag("--stats", once, "once");
  command->add_option("--interval", interval, "time between two lines");
  add_id(*command, id);
  on_run(*command, [] {
    print_stats(id);
    if (!once) {
      const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(text::parse_duration(interval, "--interval"));
      watch(id, std::max(time, std::chrono::milliseconds(10)));
    }
    return 0;
  });
}

}  // namespace jigsaw::oci
