// Limits: what a cgroup may use, as plain data. The fields are those of the OCI runtime specification's
// linux.resources (config-linux.md, "Control groups"), whatever version of cgroups applies them later.
//
// "Absent" and, as engines send it in updates, 0 both mean "leave it as it is"; -1 means "no limit". Numbers are bytes,
// microseconds or counts as the field says. Nothing here touches the kernel: see settings.h (limits -> files to write)
// and cgroup.h (writing them).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace jigsaw::cgroups {

struct MemoryLimits {
  std::optional<int64_t> limit;        // bytes
  std::optional<int64_t> reservation;  // bytes it is pushed back to when the machine runs short
  std::optional<int64_t> swap;         // bytes of memory *and* swap together, as cgroup v1 and OCI count
  std::optional<int64_t> kernel;       // v1 only, given up by newer kernels
  std::optional<int64_t> kernel_tcp;   // v1 only
  std::optional<uint64_t> swappiness;  // 0-100, v1 only
  std::optional<bool> disable_oom_killer;   // v1 only: wait for memory instead of being killed
  std::optional<bool> check_before_update;  // refuse a limit that is below what is used now
};

struct CpuLimits {
  std::optional<uint64_t> shares;  // relative weight 2-262144, 1024 by default; v2's cpu.weight is computed from it
  std::optional<int64_t> quota;    // microseconds of CPU time in each period
  std::optional<uint64_t> period;  // microseconds, 1000-1000000, 100000 by default
  std::optional<uint64_t> burst;   // microseconds saved up in quiet periods
  std::optional<int64_t> realtime_runtime;  // microseconds, v1 only
  std::optional<uint64_t> realtime_period;  // microseconds, v1 only
  std::optional<int64_t> idle;              // 1: SCHED_IDLE for the whole cgroup
  std::string cpus;                         // "0-2,7"; "" leaves it
  std::string mems;                         // memory nodes in the same form
};

struct WeightDevice {
  int64_t major = 0;
  int64_t minor = 0;
  std::optional<uint64_t> weight;       // 10-1000
  std::optional<uint64_t> leaf_weight;  // v1 CFQ only
};
struct ThrottleDevice {
  int64_t major = 0;
  int64_t minor = 0;
  uint64_t rate = 0;  // bytes or operations a second; 0 lifts the limit
};
struct BlockIoLimits {
  std::optional<uint64_t> weight;  // 10-1000
  std::optional<uint64_t> leaf_weight;
  std::vector<WeightDevice> weight_devices;
  std::vector<ThrottleDevice> read_bps;
  std::vector<ThrottleDevice> write_bps;
  std::vector<ThrottleDevice> read_iops;
  std::vector<ThrottleDevice> write_iops;
};

struct HugepageLimit {
  std::string page_size;  // "2MB", "1GB"
  uint64_t limit = 0;     // bytes
};

struct InterfacePriority {
  std::string name;
  uint32_t priority = 0;
};
struct NetworkLimits {
  std::optional<uint32_t> class_id;  // net_cls, v1 only
  std::vector<InterfacePriority> priorities;  // net_prio, v1 only
};

struct RdmaLimit {
  std::optional<uint32_t> handles;
  std::optional<uint32_t> objects;
};

// One line of the device list; later lines override earlier ones.
struct DeviceRule {
  enum class Kind : char { kAll = 'a', kBlock = 'b', kCharacter = 'c' };
  enum class Answer { kDeny, kAllow };
  Answer answer = Answer::kDeny;
  Kind kind = Kind::kAll;
  std::optional<int64_t> major;  // absent: any
  std::optional<int64_t> minor;
  std::string access = "rwm";  // read, write, mknod
};

struct Limits {
  MemoryLimits memory;
  CpuLimits cpu;
  std::optional<int64_t> pids;  // processes and threads
  BlockIoLimits block_io;
  std::vector<HugepageLimit> hugepages;
  NetworkLimits network;
  std::map<std::string, RdmaLimit> rdma;  // by RDMA device
  std::vector<DeviceRule> devices;
  std::map<std::string, std::string> unified;  // v2 files by name, written as they are
};

// Throws if a number is outside of what every kernel accepts, a CPU list is malformed, or a key of `unified` is no
// plain file name. Needs no privilege and looks at no file.
void validate(const Limits& limits);

// The controllers that `limits` needs ("memory", "cpu", "pids", "cpuset", "io", "hugetlb", "net_cls", "net_prio",
// "rdma", "devices"), by their v2 names. v1 calls "io" blkio; Layout::find() knows both.
std::vector<std::string> controllers_for(const Limits& limits);

// Limits as people type them on a command line. "" is "not given".
struct LimitTexts {
  std::string memory;              // "64m"
  std::string memory_reservation;  // "32m"
  std::string memory_swap;         // memory and swap together: "128m", or "-1"
  std::string cpus;                // "1.5"
  std::string cpu_quota;           // microseconds, or "-1"
  std::string cpu_period;
  std::string cpu_shares;
  std::string cpuset_cpus;
  std::string cpuset_mems;
  std::string pids_limit;  // "100", or "-1"
  std::string io_weight;
  std::vector<std::string> device_read_bps;  // "/dev/sda:1mb"
  std::vector<std::string> device_write_bps;
  std::vector<std::string> device_read_iops;  // "/dev/sda:1000"
  std::vector<std::string> device_write_iops;
};
// Parsed and validated. Throws "--memory must be …".
Limits parse_limits(const LimitTexts& texts);
bool asks_for_nothing(const Limits& limits);

// The options as a table, so that every program that limits something adds the same ones.
struct LimitOption {
  const char* name;  // "-m,--memory"
  std::string LimitTexts::*text;
  const char* help;
};
struct LimitListOption {
  const char* name;
  std::vector<std::string> LimitTexts::*texts;
  const char* help;
};
std::span<const LimitOption> limit_options();
std::span<const LimitListOption> limit_list_options();

}  // namespace jigsaw::cgroups
