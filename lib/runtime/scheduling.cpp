#include "runtime/scheduling.h"

#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "base/text.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
#ifndef MPOL_PREFERRED_MANY
#define MPOL_PREFERRED_MANY 5
#endif

namespace jigsaw::runtime {
namespace {

constexpr size_t kMostNodes = 1024;
using Names = std::initializer_list<std::pair<std::string_view, uint64_t>>;

const Names kPolicies = {{"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2}, {"SCHED_BATCH", 3},
                         {"SCHED_ISO", 4},   {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6}};
const Names kSchedulerFlags = {{"SCHED_FLAG_RESET_ON_FORK", 0x01}, {"SCHED_FLAG_RECLAIM", 0x02},
                               {"SCHED_FLAG_DL_OVERRUN", 0x04},    {"SCHED_FLAG_KEEP_POLICY", 0x08},
                               {"SCHED_FLAG_KEEP_PARAMS", 0x10},   {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
                               {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}};
const Names kIoClasses = {{"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};
const Names kModes = {{"MPOL_DEFAULT", 0}, {"MPOL_PREFERRED", 1}, {"MPOL_BIND", 2}, {"MPOL_INTERLEAVE", 3},
                      {"MPOL_LOCAL", 4},   {"MPOL_PREFERRED_MANY", 5}, {"MPOL_WEIGHTED_INTERLEAVE", 6}};
const Names kModeFlags = {{"MPOL_F_STATIC_NODES", 1U << 15}, {"MPOL_F_RELATIVE_NODES", 1U << 14}, {"MPOL_F_NUMA_BALANCING", 1U << 13}};

uint64_t value_of(const Names& names, const std::string& name, std::string_view what) {
  std::vector<std::string> known;
  for (const auto& [each, value] : names) {
    if (each == name) {
      return value;
    }
    known.emplace_back(each);
  }
  throw fail("{}: unknown word {}{}", what, text::quoted(name), text::did_you_mean(name, known));
}

uint64_t bits_of(const Names& names, const std::vector<std::string>& words, std::string_view what) {
  uint64_t bits = 0;
  for (const std::string& word : words) {
    bits |= value_of(names, word, what);
  }
  return bits;
}

// "0-2,7" -> the numbers in it.
std::vector<size_t> parse_list(const std::string& list, std::string_view what, size_t limit) {
  std::vector<size_t> result;
  for (const std::string_view part : text::split(list, ',')) {
    const auto ends = text::split(text::trim(part), '-');
    const size_t first = text::parse_u64(ends.front(), what, limit - 1);
    const size_t last = text::parse_u64(ends.back(), what, limit - 1);
    if (ends.size() > 2 || first > last) {
      throw fail("{}: {} is no range", what, text::quoted(part));
    }
    for (size_t number = first; number <= last; ++number) {
      result.push_back(number);
    }
  }
  return result;
}

void set_scheduler(const Scheduler& wanted) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } raw{};
  raw.size = sizeof raw;
  raw.policy = static_cast<uint32_t>(value_of(kPolicies, wanted.policy, "scheduler.policy"));
  raw.flags = bits_of(kSchedulerFlags, wanted.flags, "scheduler.flags");
  raw.nice = wanted.nice;
  raw.priority = static_cast<uint32_t>(wanted.priority);
  raw.runtime = wanted.runtime;
  raw.deadline = wanted.deadline;
  raw.period = wanted.period;
  check(::syscall(SYS_sched_setattr, 0, &raw, 0), "set the scheduler to {}", wanted.policy);
}

void set_memory_policy(const MemoryPolicy& policy) {
  std::array<unsigned long, kMostNodes / (8 * sizeof(unsigned long))> mask{};
  if (!policy.nodes.empty()) {
    for (const size_t node : parse_list(policy.nodes, "memoryPolicy.nodes", kMostNodes)) {
      mask[node / (8 * sizeof(unsigned long))] |= 1UL << (node % (8 * sizeof(unsigned long)));
    }
  }
  const uint64_t mode = value_of(kModes, policy.mode, "memoryPolicy.mode") | bits_of(kModeFlags, policy.flags, "memoryPolicy.flags");
  check(::syscall(SYS_set_mempolicy, static_cast<int>(mode), policy.nodes.empty() ? nullptr : mask.data(), kMostNodes + 1),
        "set the memory policy to {}", policy.mode);
}

// What sched(7) asks of SCHED_DEADLINE; the kernel says EINVAL to all of it.
void validate_deadline(const Scheduler& wanted) {
  constexpr uint64_t kLeast = 1024;
  constexpr uint64_t kMost = uint64_t{1} << 63;
  const auto need = [](bool holds, std::string_view what) {
    if (!holds) {
      throw fail("scheduler: SCHED_DEADLINE {}", what);
    }
  };
  need(wanted.runtime != 0, "needs a runtime");
  need(wanted.deadline != 0, "needs a deadline");
  need(wanted.runtime >= kLeast && wanted.runtime < kMost, "takes a runtime from 1024 ns to 2^63-1 ns");
  need(wanted.runtime <= wanted.deadline, "has a runtime that is longer than its deadline");
  need(wanted.period == 0 || wanted.deadline <= wanted.period, "has a deadline that is longer than its period");
  need(wanted.deadline < kMost && wanted.period < kMost, "takes a deadline and a period up to 2^63-1 ns");
}

void validate_scheduler(const Scheduler& wanted) {
  const uint64_t policy = value_of(kPolicies, wanted.policy, "scheduler.policy");
  bits_of(kSchedulerFlags, wanted.flags, "scheduler.flags");
  if (policy == SCHED_DEADLINE) {
    validate_deadline(wanted);
  }
  const bool realtime = policy == SCHED_FIFO || policy == SCHED_RR;
  if (realtime ? wanted.priority < 1 || wanted.priority > 99 : wanted.priority != 0) {
    throw fail("scheduler: {} takes {}, not the priority {}", wanted.policy, realtime ? "a priority from 1 to 99" : "no priority", wanted.priority);
  }
  if (wanted.nice < -20 || wanted.nice > 19) {
    throw fail("scheduler: nice is -20 to 19, not {}", wanted.nice);
  }
}

}  // namespace

void validate_scheduling(const Process& process) {
  if (process.scheduler) {
    validate_scheduler(*process.scheduler);
  }
  if (process.io_priority) {
    value_of(kIoClasses, process.io_priority->io_class, "ioPriority.class");
  }
  for (const std::string* cpus : {&process.affinity.initial, &process.affinity.final}) {
    if (!cpus->empty()) {
      parse_list(*cpus, "execCPUAffinity", CPU_SETSIZE);
    }
  }
}

void validate(const MemoryPolicy& policy) {
  value_of(kModes, policy.mode, "memoryPolicy.mode");
  bits_of(kModeFlags, policy.flags, "memoryPolicy.flags");
  if (!policy.nodes.empty()) {
    parse_list(policy.nodes, "memoryPolicy.nodes", kMostNodes);
  }
}

void set_affinity(const std::string& cpus) {
  if (cpus.empty()) {
    return;
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const size_t cpu : parse_list(cpus, "execCPUAffinity", CPU_SETSIZE)) {
    CPU_SET(cpu, &set);
  }
  check(::sched_setaffinity(0, sizeof set, &set), "run on the CPUs {}", cpus);
}

void set_scheduling(const Process& process, const Spec& spec) {
  if (process.scheduler) {
    set_scheduler(*process.scheduler);
  }
  if (process.io_priority) {
    const uint64_t io_class = value_of(kIoClasses, process.io_priority->io_class, "ioPriority.class");
    check(::syscall(SYS_ioprio_set, 1, 0, static_cast<int>(io_class << 13U) | process.io_priority->priority), "set the I/O priority");
  }
  if (spec.memory_policy) {
    set_memory_policy(*spec.memory_policy);
  }
}

}  // namespace jigsaw::runtime
