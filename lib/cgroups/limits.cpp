#include "cgroups/limits.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::cgroups {
namespace {

void require(bool true_for_the_kernel, std::string what, std::string hint) {
  if (!true_for_the_kernel) {
    throw Error(std::move(what), std::move(hint));
  }
}

// "0-2,7": what the kernel's cpulist_parse takes, without its strides.
bool is_list(std::string_view list) {
  for (const std::string_view range : text::split(list, ',')) {
    const auto ends = text::split(text::trim(range), '-');
    const auto first = text::to_u64(ends.front());
    const auto last = text::to_u64(ends.back());
    if (ends.size() > 2 || !first || !last || *first > *last || *last > 65535) {
      return false;
    }
  }
  return true;
}

void validate_cpu(const CpuLimits& cpu) {
  if (const int64_t quota = cpu.quota.value_or(0); quota > 0) {
    require(quota >= 1000, fmt::format("a cpu quota of {} µs is too small", quota),
            "the kernel's least is 1000 µs in a period; with the usual period of 100000 µs that is --cpus 0.01");
  }
  if (const uint64_t period = cpu.period.value_or(0); period != 0) {
    require(period >= 1000 && period <= 1000000, fmt::format("a cpu period of {} µs is not possible", period),
            "the kernel takes 1000 to 1000000 µs");
  }
  require(is_list(cpu.cpus.empty() ? "0" : cpu.cpus), fmt::format("{} is no list of CPUs", text::quoted(cpu.cpus)),
          "write it like 0-2,7");
  require(is_list(cpu.mems.empty() ? "0" : cpu.mems),
          fmt::format("{} is no list of memory nodes", text::quoted(cpu.mems)), "write it like 0,1");
  if (const int64_t idle = cpu.idle.value_or(0); idle != 0) {
    require(idle == 1, fmt::format("cpu idle is 0 or 1, not {}", idle), "");
  }
}

void validate_memory(const MemoryLimits& memory) {
  for (const auto& [value, name] : {std::pair{memory.limit, "memory limit"},
                                    std::pair{memory.reservation, "memory reservation"},
                                    std::pair{memory.swap, "limit of memory and swap"}}) {
    const int64_t bytes = value.value_or(0);
    require(bytes >= -1, fmt::format("a {} of {} is not possible", name, bytes), "-1 means without limit");
    require(bytes <= 0 || bytes >= 4096, fmt::format("a {} of {} bytes is too small", name, bytes),
            "the kernel counts in pages of 4096 bytes; a program needs some hundred of them");
  }
  const int64_t limit = memory.limit.value_or(0);
  const int64_t swap = memory.swap.value_or(0);
  if (limit > 0 && swap > 0) {
    require(swap >= limit, fmt::format("the limit of memory and swap, {} bytes, is below the memory limit, {} bytes", swap, limit),
            "it counts memory and swap together: give at least the memory limit, which means no swap");
  }
  require(memory.swappiness.value_or(0) <= 100, fmt::format("swappiness is 0 to 100, not {}", memory.swappiness.value_or(0)), "");
}

void validate_io(const BlockIoLimits& io) {
  for (const uint64_t weight : {io.weight.value_or(0), io.leaf_weight.value_or(0)}) {
    require(weight == 0 || (weight >= 10 && weight <= 1000), fmt::format("an io weight of {} is not possible", weight),
            "weights are 10 to 1000, 500 if none is given");
  }
}



}  // namespace

void validate(const Limits& limits) {
  validate_cpu(limits.cpu);
  validate_memory(limits.memory);
  validate_io(limits.block_io);
  for (const HugepageLimit& huge : limits.hugepages) {
    const bool plain = std::all_of(huge.page_size.begin(), huge.page_size.end(), [](unsigned char c) { return std::isalnum(c); });
    require(plain && !huge.page_size.empty(), fmt::format("{} is no size of huge pages", text::quoted(huge.page_size)),
            "write it like 2MB or 1GB");
  }
  for (const auto& [file, value] : limits.unified) {
    const bool plain = file.find('/') == std::string::npos && file.find('\0') == std::string::npos && file.find('.') != std::string::npos &&
                       !file.starts_with('.');
    require(plain, fmt::format("{} is no file of a cgroup", text::quoted(file)), "name a file of the cgroup v2 directory, like memory.high");
    require(!file.starts_with("cgroup."), fmt::format("{} is not a limit", file),
            "only the controllers' own files can be set");
  }
  for (const DeviceRule& rule : limits.devices) {
    if (rule.access.find_first_not_of("rwm") != std::string::npos) {
      throw Error(fmt::format("{} is no device access", text::quoted(rule.access)), "it is made of r (read), w (write) and m (mknod)");
    }
    for (const auto& number : {rule.major, rule.minor}) {
      if (number && (*number < -1 || *number > UINT32_MAX)) {
        throw Error(fmt::format("{} is no number of a device", *number), "leave it out, or write -1, for any");
      }
    }
  }
}

std::vector<std::string> controllers_for(const Limits& limits) {
  std::vector<std::string> result;
  const auto need = [&](bool needed, const char* controller) {
    if (needed) {
      result.emplace_back(controller);
    }
  };
  const auto given = [](const auto&... values) { return ((values.has_value() && *values != 0) || ...); };
  const MemoryLimits& m = limits.memory;
  const CpuLimits& c = limits.cpu;
  const BlockIoLimits& io = limits.block_io;
  need(given(m.limit, m.reservation, m.swap, m.kernel, m.kernel_tcp, m.disable_oom_killer) || m.swappiness, "memory");
  need(given(c.shares, c.quota, c.period, c.realtime_period, c.realtime_runtime) || c.burst || c.idle, "cpu");
  need(!c.cpus.empty() || !c.mems.empty(), "cpuset");
  need(given(limits.pids), "pids");
  need(given(io.weight, io.leaf_weight) || !io.weight_devices.empty() || !io.read_bps.empty() || !io.write_bps.empty() ||
           !io.read_iops.empty() || !io.write_iops.empty(), "io");
  need(!limits.hugepages.empty(), "hugetlb");
  need(limits.network.class_id.has_value(), "net_cls");
  need(!limits.network.priorities.empty(), "net_prio");
  need(!limits.rdma.empty(), "rdma");
  need(!limits.devices.empty(), "devices");
  for (const auto& [file, value] : limits.unified) {
    const std::string controller = file.substr(0, file.find('.'));
    need(std::find(result.begin(), result.end(), controller) == result.end(), controller.c_str());
  }
  return result;
}

}  // namespace jigsaw::cgroups
