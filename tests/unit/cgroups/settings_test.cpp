// Limits turned into files: the same limits on v1, v2 and hybrid machines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cgroups/settings.h"

namespace jigsaw::cgroups {
namespace {

using ::testing::ElementsAre;

Layout v1() {
  Layout layout;
  for (const char* name : {"cpu", "cpuset", "memory", "pids", "blkio", "devices", "hugetlb", "net_cls", "net_prio", "rdma"}) {
    layout.hierarchies.push_back(Hierarchy{Version::kV1, {name}, std::string("/sys/fs/cgroup/") + name, "/", "/"});
  }
  return layout;
}
Layout v2() {
  return Layout{{Hierarchy{Version::kV2, {"cpuset", "cpu", "io", "memory", "pids", "hugetlb", "rdma"}, "/sys/fs/cgroup", "/", "/"}}};
}
std::vector<std::string> written(const Limits& limits, const Layout& layout) {
  std::vector<std::string> result;
  for (const Setting& setting : settings_for(limits, layout)) {
    result.push_back(setting.file + "=" + setting.value);
  }
  return result;
}

TEST(Settings, Memory) {
  const Limits limits{.memory = {.limit = 64 << 20, .reservation = 32 << 20, .swap = 96 << 20}};
  EXPECT_THAT(written(limits, v1()), ElementsAre("memory.limit_in_bytes=67108864", "memory.memsw.limit_in_bytes=100663296",
                                                 "memory.soft_limit_in_bytes=33554432"));
  EXPECT_THAT(written(limits, v2()), ElementsAre("memory.max=67108864", "memory.swap.max=33554432", "memory.low=33554432"));
}

TEST(Settings, SwapCountsTheMemoryOnV1Only) {
  EXPECT_THAT(written({.memory = {.limit = 1 << 20, .swap = 1 << 20}}, v2()), ElementsAre("memory.max=1048576", "memory.swap.max=0"));
  EXPECT_THAT(written({.memory = {.limit = 1 << 20, .swap = -1}}, v2()), ElementsAre("memory.max=1048576", "memory.swap.max=max"));
  EXPECT_THAT(written({.memory = {.limit = -1}}, v1()), ElementsAre("memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"));
  EXPECT_THROW(written({.memory = {.swap = 1 << 20}}, v2()), Error);
}

TEST(Settings, ZeroIsNotGiven) {
  EXPECT_THAT(written({.memory = {.limit = 0, .swap = 0}, .cpu = {.shares = 0, .quota = 0, .period = 0}, .pids = 0}, v1()), ElementsAre());
}

TEST(Settings, Cpu) {
  const Limits limits{.cpu = {.shares = 1024, .quota = 150000, .period = 100000, .cpus = "0-1", .mems = "0"}};
  EXPECT_THAT(written(limits, v1()), ElementsAre("cpu.shares=1024", "cpu.cfs_period_us=100000", "cpu.cfs_quota_us=150000",
                                                 "cpuset.mems=0", "cpuset.cpus=0-1"));
  EXPECT_THAT(written(limits, v2()), ElementsAre("cpu.weight=100", "cpu.max=150000 100000", "cpuset.mems=0", "cpuset.cpus=0-1"));
  EXPECT_THAT(written({.cpu = {.quota = -1}}, v2()), ElementsAre("cpu.max=max"));
  EXPECT_THROW(written({.cpu = {.realtime_runtime = 1000}}, v2()), Error);
}

TEST(Settings, SharesAndWeightsMeetAtTheirEndsAndDefaults) {
  EXPECT_EQ(weight_from_shares(0), 1U);
  EXPECT_EQ(weight_from_shares(2), 1U);
  EXPECT_EQ(weight_from_shares(1024), 100U);
  EXPECT_EQ(weight_from_shares(262144), 10000U);
  EXPECT_EQ(weight_from_shares(~0ULL), 10000U);
  uint64_t before = 0;
  for (uint64_t shares = 2; shares < 262144; shares += 97) {
    EXPECT_GE(weight_from_shares(shares), before);
    before = weight_from_shares(shares);
  }
  EXPECT_EQ(io_weight_from_blkio(10), 1U);
  EXPECT_EQ(io_weight_from_blkio(1000), 10000U);
}

TEST(Settings, DisksAreThrottledByNumber) {
  const Limits limits{.block_io = {.read_bps = {{8, 0, 1048576}}, .write_iops = {{8, 16, 0}}}};
  EXPECT_THAT(written(limits, v1()), ElementsAre("blkio.throttle.read_bps_device=8:0 1048576", "blkio.throttle.write_iops_device=8:16 0"));
  EXPECT_THAT(written(limits, v2()), ElementsAre("io.max=8:0 rbps=1048576", "io.max=8:16 wiops=max"));
}

TEST(Settings, PidsHugepagesRdmaAndNetwork) {
  EXPECT_THAT(written({.pids = 20}, v2()), ElementsAre("pids.max=20"));
  EXPECT_THAT(written({.pids = -1}, v1()), ElementsAre("pids.max=max"));
  EXPECT_THAT(written({.hugepages = {{"2MB", 4194304}}}, v2()), ElementsAre("hugetlb.2MB.max=4194304", "hugetlb.2MB.rsvd.max=4194304"));
  EXPECT_THAT(written({.rdma = {{"mlx5_1", {3, 10000}}}}, v1()), ElementsAre("rdma.max=mlx5_1 hca_handle=3 hca_object=10000"));
  const Limits network{.network = {.class_id = 0x100001, .priorities = {{"eth0", 5}}}};
  EXPECT_THAT(written(network, v1()), ElementsAre("net_cls.classid=1048577", "net_prio.ifpriomap=eth0 5"));
  EXPECT_THROW(written(network, v2()), Error);
}

TEST(Settings, DevicesAreLinesOnV1AndAProgramOnV2) {
  const Limits limits{.devices = {{}, {DeviceRule::Answer::kAllow, DeviceRule::Kind::kCharacter, 1, 3, "rw"}}};
  EXPECT_THAT(written(limits, v1()), ElementsAre("devices.deny=a *:* rwm", "devices.allow=c 1:3 rw"));
  EXPECT_THAT(written(limits, v2()), ElementsAre());
}

TEST(Settings, ARuleForDevicesOfBothKindsMeansNoMoreInVersion1ThanItSays) {
  constexpr auto kAll = DeviceRule::Kind::kAll;
  EXPECT_THAT(written({.devices = {{DeviceRule::Answer::kAllow, kAll, {}, {}, "m"}}}, v1()),
              ElementsAre("devices.allow=b *:* m", "devices.allow=c *:* m"));
  EXPECT_THAT(written({.devices = {{DeviceRule::Answer::kAllow, kAll, 10, {}, "rwm"}}}, v1()),
              ElementsAre("devices.allow=b 10:* rwm", "devices.allow=c 10:* rwm"));
  EXPECT_THAT(written({.devices = {{DeviceRule::Answer::kDeny, kAll, {}, {}, "mwr"}}}, v1()), ElementsAre("devices.deny=a *:* mwr"));
}

TEST(Settings, UnifiedFilesAreWrittenAsTheyAre) {
  EXPECT_THAT(written({.unified = {{"memory.high", "1000000"}}}, v2()), ElementsAre("memory.high=1000000"));
}

TEST(Limits, WhatNoKernelTakesIsRefusedBeforeItIsTried) {
  EXPECT_THROW(validate({.memory = {.limit = 100}}), Error);
  EXPECT_THROW(validate({.memory = {.limit = -2}}), Error);
  EXPECT_THROW(validate({.memory = {.limit = 8192, .swap = 4096}}), Error);
  EXPECT_THROW(validate({.cpu = {.quota = 10}}), Error);
  EXPECT_THROW(validate({.cpu = {.period = 2000000}}), Error);
  for (const char* list : {"a", "1-", "3-1", "0,,1", "0-1-2", "-1", "99999999999999999999"}) {
    EXPECT_THROW(validate({.cpu = {.cpus = list}}), Error) << list;
  }
  EXPECT_NO_THROW(validate({.cpu = {.cpus = "0-2,7"}}));
  for (const char* file : {"../x.y", "memory/max", "nodot", ".hidden", "cgroup.procs"}) {
    EXPECT_THROW(validate({.unified = {{file, "1"}}}), Error) << file;
  }
  EXPECT_THROW(validate({.hugepages = {{"../2MB", 1}}}), Error);
  EXPECT_THROW(validate({.devices = {{DeviceRule::Answer::kDeny, DeviceRule::Kind::kAll, {}, {}, "x"}}}), Error);
  for (const int64_t number : {int64_t{-2}, int64_t{1} << 32, INT64_MIN}) {
    EXPECT_THROW(validate({.devices = {{DeviceRule::Answer::kAllow, DeviceRule::Kind::kBlock, number, {}, "r"}}}), Error);
    EXPECT_THROW(validate({.devices = {{DeviceRule::Answer::kAllow, DeviceRule::Kind::kBlock, 8, number, "r"}}}), Error);
  }
}

TEST(Limits, AreReadFromACommandLine) {
  const Limits limits = parse_limits({.memory = "64m", .memory_swap = "-1", .cpus = "1.5", .pids_limit = "20"});
  EXPECT_EQ(limits.memory.limit, 64 << 20);
  EXPECT_EQ(limits.memory.swap, -1);
  EXPECT_EQ(limits.cpu.quota, 150000);
  EXPECT_EQ(limits.cpu.period, 100000U);
  EXPECT_EQ(limits.pids, 20);
  EXPECT_FALSE(parse_limits({}).memory.limit);
}

TEST(Limits, WordsThatAreNoLimitsAreRefusedByTheirOptionsName) {
  const auto message = [](const LimitTexts& texts) {
    try {
      parse_limits(texts);
      return std::string("accepted");
    } catch (const Error& error) {
      return error.message();
    }
  };
  EXPECT_THAT(message({.memory = "lots"}), ::testing::HasSubstr("--memory"));
  EXPECT_THAT(message({.memory = "0"}), ::testing::HasSubstr("--memory"));
  EXPECT_THAT(message({.memory_swap = "1g"}), ::testing::HasSubstr("--memory-swap needs --memory"));
  EXPECT_THAT(message({.cpus = "-1"}), ::testing::HasSubstr("--cpus"));
  EXPECT_THAT(message({.cpus = "0"}), ::testing::HasSubstr("--cpus"));
  EXPECT_THAT(message({.pids_limit = "ten"}), ::testing::HasSubstr("--pids-limit"));
  EXPECT_THAT(message({.cpu_shares = "1"}), ::testing::HasSubstr("--cpu-shares"));
  EXPECT_THAT(message({.device_read_bps = {"/dev/null:1m"}}), ::testing::HasSubstr("no block device"));
  EXPECT_THAT(message({.device_read_bps = {"/dev/null"}}), ::testing::HasSubstr("DEVICE:RATE"));
}

}  // namespace
}  // namespace jigsaw::cgroups
