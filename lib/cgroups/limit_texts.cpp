// The command line's words for limits: --memory 64m, --cpus 1.5, --device-read-bps /dev/sda:1mb.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "cgroups/limits.h"

namespace jigsaw::cgroups {
namespace {

std::optional<int64_t> size_or_none(const std::string& text, const char* option) {
  if (text.empty()) {
    return std::nullopt;
  }
  if (text == "-1") {
    return -1;
  }
  const uint64_t bytes = text::parse_size(text, option);
  if (bytes == 0 || bytes > INT64_MAX) {
    throw fail("{} must be a size above 0, not {}", option, text::quoted(text)).with_hint("write it like 512k, 64m or 2g");
  }
  return static_cast<int64_t>(bytes);
}

std::optional<int64_t> count_or_none(const std::string& text, const char* option) {
  if (text.empty()) {
    return std::nullopt;
  }
  const int64_t number = text::parse_i64(text, option, -1);
  if (number == 0) {
    throw fail("{} must not be 0", option).with_hint("-1 means without limit");
  }
  return number;
}

// "/dev/sda:1mb": a block device and a rate.
ThrottleDevice parse_throttle(const std::string& text, const char* option,
                              uint64_t (*parse_rate)(std::string_view text, std::string_view what)) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) {
    throw fail("{} must be DEVICE:RATE, not {}", option, text::quoted(text)).with_hint("write it like /dev/sda:1mb");
  }
  const std::string device = text.substr(0, colon);
  struct stat status {};
  check(::stat(device.c_str(), &status), "{} {}", option, device);
  if (!S_ISBLK(status.st_mode)) {
    throw fail("{} {}: it is no block device", option, device).with_hint("lsblk lists them");
  }
  return ThrottleDevice{major(status.st_rdev), minor(status.st_rdev), parse_rate(text.substr(colon + 1), option)};
}

std::vector<ThrottleDevice> throttles(const std::vector<std::string>& texts, const char* option,
                                      uint64_t (*parse_rate)(std::string_view text, std::string_view what)) {
  std::vector<ThrottleDevice> result;
  for (const std::string& text : texts) {
    result.push_back(parse_throttle(text, option, parse_rate));
  }
  return result;
}

uint64_t parse_operations(std::string_view text, std::string_view what) { return text::parse_u64(text, what); }

CpuLimits parse_cpu(const LimitTexts& texts) {
  CpuLimits cpu;
  cpu.quota = count_or_none(texts.cpu_quota, "--cpu-quota");
  if (!texts.cpu_period.empty()) {
    cpu.period = text::parse_u64(texts.cpu_period, "--cpu-period");
  }
  if (!texts.cpu_shares.empty()) {
    cpu.shares = text::parse_u64(texts.cpu_shares, "--cpu-shares", 262144);
    if (*cpu.shares < 2) {
      throw fail("--cpu-shares must be from 2 to 262144, not {}", *cpu.shares).with_hint("1024 is what others have");
    }
  }
  cpu.cpus = texts.cpuset_cpus;
  cpu.mems = texts.cpuset_mems;
  if (texts.cpus.empty()) {
    return cpu;
  }
  if (cpu.quota) {
    throw Error("--cpus and --cpu-quota say the same thing", "give one of them: --cpus 1.5 is --cpu-quota 150000");
  }
  const double count = text::parse_decimal(texts.cpus, "--cpus");
  if (count < 0.01 || count > 65536) {
    throw fail("--cpus must be a number of CPUs from 0.01 to 65536, not {}", text::quoted(texts.cpus));
  }
  cpu.period = cpu.period.value_or(100000);
  cpu.quota = std::llround(count * static_cast<double>(*cpu.period));
  return cpu;
}

}  // namespace

std::span<const LimitOption> limit_options() {
  static constexpr LimitOption kOptions[] = {
      {"-m,--memory", &LimitTexts::memory, "the most memory, like 64m; who needs more is killed"},
      {"--memory-swap", &LimitTexts::memory_swap, "the most memory and swap together; -1: any swap"},
      {"--memory-reservation", &LimitTexts::memory_reservation, "memory that is left to it when the machine runs short"},
      {"--cpus", &LimitTexts::cpus, "the most CPU time, in CPUs: 1.5"},
      {"--cpu-quota", &LimitTexts::cpu_quota, "the same in microseconds of each period"},
      {"--cpu-period", &LimitTexts::cpu_period, "microseconds; 100000 if not given"},
      {"-c,--cpu-shares", &LimitTexts::cpu_shares, "its weight when the CPUs are busy, 2 to 262144; others have 1024"},
      {"--cpuset-cpus", &LimitTexts::cpuset_cpus, "the CPUs it may run on: 0-2,7"},
      {"--cpuset-mems", &LimitTexts::cpuset_mems, "the memory nodes it may use"},
      {"--pids-limit", &LimitTexts::pids_limit, "the most processes and threads"},
      {"--io-weight,--blkio-weight", &LimitTexts::io_weight, "its weight when the disks are busy, 10 to 1000"},
  };
  return kOptions;
}

std::span<const LimitListOption> limit_list_options() {
  static constexpr LimitListOption kOptions[] = {
      {"--device-read-bps", &LimitTexts::device_read_bps, "the most bytes read a second: /dev/sda:1mb"},
      {"--device-write-bps", &LimitTexts::device_write_bps, "the most bytes written a second"},
      {"--device-read-iops", &LimitTexts::device_read_iops, "the most reads a second: /dev/sda:1000"},
      {"--device-write-iops", &LimitTexts::device_write_iops, "the most writes a second"},
  };
  return kOptions;
}

bool asks_for_nothing(const Limits& limits) { return controllers_for(limits).empty(); }

Limits parse_limits(const LimitTexts& texts) {
  Limits limits;
  limits.memory.limit = size_or_none(texts.memory, "--memory");
  limits.memory.reservation = size_or_none(texts.memory_reservation, "--memory-reservation");
  limits.memory.swap = size_or_none(texts.memory_swap, "--memory-swap");
  if (limits.memory.swap && !limits.memory.limit) {
    throw Error("--memory-swap needs --memory", "it is the limit of memory and swap together");
  }
  limits.cpu = parse_cpu(texts);
  limits.pids = count_or_none(texts.pids_limit, "--pids-limit");
  if (!texts.io_weight.empty()) {
    limits.block_io.weight = text::parse_u64(texts.io_weight, "--io-weight");
  }
  limits.block_io.read_bps = throttles(texts.device_read_bps, "--device-read-bps", text::parse_size);
  limits.block_io.write_bps = throttles(texts.device_write_bps, "--device-write-bps", text::parse_size);
  limits.block_io.read_iops = throttles(texts.device_read_iops, "--device-read-iops", parse_operations);
  limits.block_io.write_iops = throttles(texts.device_write_iops, "--device-write-iops", parse_operations);
  validate(limits);
  return limits;
}

}  // namespace jigsaw::cgroups
