#include "cgroups/settings.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "cgroups/devices.h"

namespace jigsaw::cgroups {
namespace {

using Refusal = Setting::Refusal;

// Collects the settings of one controller in one version.
struct Plan {
  std::vector<Setting>& settings;
  std::string controller;
  Version version;

  bool v1() const { return version == Version::kV1; }
  void add(std::string file, std::string value, std::string why, Refusal refusal = Refusal::kError) {
    settings.push_back({controller, std::move(file), std::move(value), std::move(why), refusal, "", ""});
  }
  // For -1 and numbers: "-1" or "max" by version.
  std::string number(int64_t value) const { return value < 0 ? (v1() ? "-1" : "max") : fmt::format("{}", value); }
  [[noreturn]] void meaningless(std::string_view limit) const {
    throw Error(fmt::format("{} can't be set on cgroup {}", limit, v1() ? "v1" : "v2"), "leave it out of the limits");
  }
};

template <class Number>
bool given(const std::optional<Number>& value) {
  return value.has_value() && *value != 0;
}

void plan_swap(Plan& plan, const MemoryLimits& memory) {
  const int64_t limit = memory.limit.value_or(0);
  const int64_t swap = memory.swap.value_or(0);
  if (plan.v1()) {
    if (swap != 0) {
      // A kernel that doesn't count swap has nothing to be limited if none is to be used or all may be.
      const bool harmless = swap < 0 || swap == limit;
      plan.add("memory.memsw.limit_in_bytes", plan.number(swap), "the most memory and swap together",
               harmless ? Refusal::kIgnored : Refusal::kError);
    } else if (limit < 0) {
      plan.add("memory.memsw.limit_in_bytes", "-1", "no memory limit, so none with swap either", Refusal::kIgnored);
    }
    return;
  }
  if (swap > 0 && limit <= 0) {
    throw Error("a limit of memory and swap needs a memory limit too", "cgroup v2 limits swap alone: the difference of the two");
  }
  if (swap != 0 || limit < 0) {
    const bool harmless = swap < 0 || swap == limit || limit < 0;
    plan.add("memory.swap.max", swap > 0 ? fmt::format("{}", swap - limit) : "max", "the most swap, without the memory",
             harmless ? Refusal::kIgnored : Refusal::kError);
  }
}

void plan_memory(Plan plan, const MemoryLimits& memory) {
  if (given(memory.limit)) {
    plan.add(plan.v1() ? "memory.limit_in_bytes" : "memory.max", plan.number(*memory.limit),
             "the most memory; who needs more is killed");
  }
  plan_swap(plan, memory);
  if (given(memory.reservation)) {
    plan.add(plan.v1() ? "memory.soft_limit_in_bytes" : "memory.low", plan.number(*memory.reservation),
             plan.v1() ? "what it is pushed back to when memory is short" : "what it keeps when memory is short");
  }
  if (!plan.v1()) {
    return;
  }
  if (given(memory.kernel)) {
    plan.add("memory.kmem.limit_in_bytes", plan.number(*memory.kernel), "the most kernel memory", Refusal::kIgnored);
  }
  if (given(memory.kernel_tcp)) {
    plan.add("memory.kmem.tcp.limit_in_bytes", plan.number(*memory.kernel_tcp), "the most memory of TCP buffers");
  }
  if (memory.swappiness) {
    plan.add("memory.swappiness", fmt::format("{}", *memory.swappiness), "how readily its memory is swapped out");
  }
  if (memory.disable_oom_killer.value_or(false)) {
    plan.add("memory.oom_control", "1", "wait for memory instead of being killed");
  }
}

void plan_cpu(Plan plan, const CpuLimits& cpu) {
  if (given(cpu.shares)) {
    plan.add(plan.v1() ? "cpu.shares" : "cpu.weight",
             fmt::format("{}", plan.v1() ? *cpu.shares : weight_from_shares(*cpu.shares)),
             "its part of the CPUs when others want them too");
  }
  if (plan.v1()) {
    if (given(cpu.period)) {
      plan.add("cpu.cfs_period_us", fmt::format("{}", *cpu.period), "how often the quota is dealt out");
    }
    if (given(cpu.quota)) {
      plan.add("cpu.cfs_quota_us", plan.number(*cpu.quota), "CPU time in each period");
    }
  } else if (given(cpu.quota) || given(cpu.period)) {
    const std::string quota = given(cpu.quota) ? plan.number(*cpu.quota) : "max";
    plan.add("cpu.max", given(cpu.period) ? fmt::format("{} {}", quota, *cpu.period) : quota, "CPU time in each period");
  }
  if (cpu.burst) {
    plan.add(plan.v1() ? "cpu.cfs_burst_us" : "cpu.max.burst", fmt::format("{}", *cpu.burst), "CPU time saved up for later",
             *cpu.burst == 0 ? Refusal::kIgnored : Refusal::kError);
  }
  if (cpu.idle) {
    plan.add("cpu.idle", fmt::format("{}", *cpu.idle), "run only when nobody else wants to",
             *cpu.idle == 0 ? Refusal::kIgnored : Refusal::kError);
  }
  if (given(cpu.realtime_period) || given(cpu.realtime_runtime)) {
    if (!plan.v1()) {
      plan.meaningless("realtime CPU time");
    }
    if (given(cpu.realtime_period)) {
      plan.add("cpu.rt_period_us", fmt::format("{}", *cpu.realtime_period), "the period of realtime CPU time");
    }
    if (given(cpu.realtime_runtime)) {
      plan.add("cpu.rt_runtime_us", fmt::format("{}", *cpu.realtime_runtime), "realtime CPU time in each period");
    }
  }
}

void plan_throttle(Plan& plan, const std::vector<ThrottleDevice>& devices, const char* v1_file, const char* v2_key,
                   const char* why) {
  for (const ThrottleDevice& device : devices) {
    const std::string number = fmt::format("{}:{}", device.major, device.minor);
    if (plan.v1()) {
      plan.add(fmt::format("blkio.throttle.{}_device", v1_file), fmt::format("{} {}", number, device.rate), why);
    } else {
      plan.add("io.max", fmt::format("{} {}={}", number, v2_key, device.rate == 0 ? "max" : fmt::format("{}", device.rate)), why);
    }
  }
}

// Weights have a file per I/O scheduler: bfq's takes 1-1000, io.weight (iocost) 1-10000.
void add_weight(Plan& plan, const std::string& device, uint64_t weight, const char* why) {
  const std::string scaled = fmt::format("{}{}", device, io_weight_from_blkio(weight));
  const std::string plain = fmt::format("{}{}", device, weight);
  const char* suffix = device.empty() ? "" : "_device";
  if (plan.v1()) {
    plan.settings.push_back({plan.controller, fmt::format("blkio.weight{}", suffix), plain, why, Refusal::kError,
                             fmt::format("blkio.bfq.weight{}", suffix), plain});
  } else {
    plan.settings.push_back({plan.controller, "io.bfq.weight", plain, why, Refusal::kError, "io.weight", scaled});
  }
}

void plan_io(Plan plan, const BlockIoLimits& io) {
  if (given(io.weight)) {
    add_weight(plan, "", *io.weight, "its part of the disks when others want them too");
  }
  if (given(io.leaf_weight) && plan.v1()) {
    plan.add("blkio.leaf_weight", fmt::format("{}", *io.leaf_weight), "its part against its own children");
  }
  for (const WeightDevice& device : io.weight_devices) {
    if (given(device.weight)) {
      add_weight(plan, fmt::format("{}:{} ", device.major, device.minor), *device.weight, "its part of one disk");
    }
    if (given(device.leaf_weight) && plan.v1()) {
      plan.add("blkio.leaf_weight_device", fmt::format("{}:{} {}", device.major, device.minor, *device.leaf_weight),
               "its part of one disk against its own children");
    }
  }
  plan_throttle(plan, io.read_bps, "read_bps", "rbps", "bytes read a second");
  plan_throttle(plan, io.write_bps, "write_bps", "wbps", "bytes written a second");
  plan_throttle(plan, io.read_iops, "read_iops", "riops", "reads a second");
  plan_throttle(plan, io.write_iops, "write_iops", "wiops", "writes a second");
}

void plan_hugepages(Plan plan, const std::vector<HugepageLimit>& hugepages) {
  for (const HugepageLimit& huge : hugepages) {
    const std::string bytes = fmt::format("{}", huge.limit);
    const char* file = plan.v1() ? "limit_in_bytes" : "max";
    plan.add(fmt::format("hugetlb.{}.{}", huge.page_size, file), bytes, "the most huge pages");
    plan.add(fmt::format("hugetlb.{}.rsvd.{}", huge.page_size, file), bytes, "the same for reserved ones", Refusal::kIgnored);
  }
}

void plan_network(Plan plan, const NetworkLimits& network) {
  if (!plan.v1()) {
    plan.meaningless(plan.controller);
  }
  if (plan.controller == "net_cls") {
    plan.add("net_cls.classid", fmt::format("{}", *network.class_id), "the class that tc(8) sees on its packets");
    return;
  }
  for (const InterfacePriority& one : network.priorities) {
    plan.add("net_prio.ifpriomap", fmt::format("{} {}", one.name, one.priority), "the priority of its packets");
  }
}

void plan_rdma(Plan plan, const std::map<std::string, RdmaLimit>& rdma) {
  for (const auto& [device, limit] : rdma) {
    std::string value = device;
    value += limit.handles ? fmt::format(" hca_handle={}", *limit.handles) : "";
    value += limit.objects ? fmt::format(" hca_object={}", *limit.objects) : "";
    plan.add("rdma.max", value, "the most RDMA handles and objects");
  }
}

// cgroup v1 reads "a" as everything in every way, whatever numbers and letters follow (device_cgroup.c): a rule that
// means less must be said for both kinds.
std::vector<DeviceRule> in_words_of_v1(const DeviceRule& rule) {
  const bool whole = !rule.major && !rule.minor && rule.access.find('r') != std::string::npos &&
                     rule.access.find('w') != std::string::npos && rule.access.find('m') != std::string::npos;
  if (rule.kind != DeviceRule::Kind::kAll || whole) {
    return {rule};
  }
  std::vector<DeviceRule> both = {rule, rule};
  both[0].kind = DeviceRule::Kind::kBlock;
  both[1].kind = DeviceRule::Kind::kCharacter;
  return both;
}

void plan_devices(Plan plan, const std::vector<DeviceRule>& rules) {
  for (const DeviceRule& each : rules) {
    for (const DeviceRule& rule : in_words_of_v1(each)) {
      const bool allow = rule.answer == DeviceRule::Answer::kAllow;
      plan.add(allow ? "devices.allow" : "devices.deny", device_line(rule),
               allow ? "a device that it may use" : "devices that it may not use");
    }
  }
}

Plan plan_for(std::vector<Setting>& settings, const std::string& controller, const Layout& layout) {
  const Hierarchy* hierarchy = layout.find(controller);
  if (hierarchy == nullptr) {
    throw Error(fmt::format("this machine has no cgroup controller {} to set the limit with", controller),
                fmt::format("it has {}; /proc/cgroups and cgroup.controllers list its controllers", layout.describe()));
  }
  return Plan{settings, controller, hierarchy->version};
}

}  // namespace

std::vector<Setting> settings_for(const Limits& limits, const Layout& layout) {
  std::vector<Setting> settings;
  for (const std::string& controller : controllers_for(limits)) {
    if (controller == "memory") {
      plan_memory(plan_for(settings, controller, layout), limits.memory);
    } else if (controller == "cpu") {
      plan_cpu(plan_for(settings, controller, layout), limits.cpu);
    } else if (controller == "cpuset") {
      Plan plan = plan_for(settings, controller, layout);
      if (!limits.cpu.mems.empty()) {
        plan.add("cpuset.mems", limits.cpu.mems, "the memory nodes it may use");
      }
      if (!limits.cpu.cpus.empty()) {
        plan.add("cpuset.cpus", limits.cpu.cpus, "the CPUs it may use");
      }
    } else if (controller == "pids") {
      if (given(limits.pids)) {
        Plan plan = plan_for(settings, controller, layout);
        plan.add("pids.max", *limits.pids < 0 ? "max" : fmt::format("{}", *limits.pids), "the most processes and threads");
      }
    } else if (controller == "io") {
      plan_io(plan_for(settings, controller, layout), limits.block_io);
    } else if (controller == "hugetlb") {
      plan_hugepages(plan_for(settings, controller, layout), limits.hugepages);
    } else if (controller == "net_cls" || controller == "net_prio") {
      plan_network(plan_for(settings, controller, layout), limits.network);
    } else if (controller == "rdma") {
      plan_rdma(plan_for(settings, controller, layout), limits.rdma);
    } else if (controller == "devices" && plan_for(settings, controller, layout).v1()) {
      plan_devices(plan_for(settings, controller, layout), limits.devices);
    }
  }
  for (const auto& [file, value] : limits.unified) {
    settings.push_back({"unified", file, value, "a cgroup v2 file set as it is", Refusal::kError, "", ""});
  }
  return settings;
}

uint64_t weight_from_shares(uint64_t shares) {
  if (shares <= 2) {
    return 1;
  }
  if (shares >= 262144) {
    return 10000;
  }
  const double log = std::log2(static_cast<double>(shares));
  const double exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
  return static_cast<uint64_t>(std::ceil(std::pow(10.0, exponent)));
}

uint64_t io_weight_from_blkio(uint64_t weight) { return 1 + (std::clamp<uint64_t>(weight, 10, 1000) - 10) * 9999 / 990; }

}  // namespace jigsaw::cgroups
