// Limits proved by what they do to processes, on whatever cgroups this machine has.
#include <gtest/gtest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "cgroups/cgroup.h"
#include "cgroups/stats.h"
#include "process/spawn.h"
#include "support/run.h"
#include "support/snapshot.h"

namespace jigsaw::cgroups {
namespace {

using Clock = std::chrono::steady_clock;

class Effects : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) {
      GTEST_SKIP() << "cgroups are made by root";
    }
    if (layout_.hierarchies.empty()) {
      GTEST_SKIP() << "no cgroup file system is mounted";
    }
  }
  void TearDown() override {
    for (const std::string& path : made_) {
      Cgroup cgroup = Cgroup::open(layout_, path);
      cgroup.kill();
      cgroup.remove();
      EXPECT_FALSE(Cgroup::open(layout_, path).exists()) << path;
    }
  }
  Cgroup make(const Limits& limits) {
    Cgroup cgroup = Cgroup::create(layout_, "/jigsaw-test-" + files::random_hex(4));
    made_.push_back(cgroup.path());
    cgroup.apply(limits);
    return cgroup;
  }
  // A child in the cgroup that runs `body`.
  static process::Child start(const Cgroup& cgroup, const std::function<int()>& body) {
    process::Child child = process::spawn({.cgroup = cgroup.unified()}, [&](process::Gate&) {
      cgroup.join();
      return body();
    });
    child.release();
    return child;
  }
  bool lacks(const char* controller) const { return layout_.find(controller) == nullptr; }

  Layout layout_ = read_layout();
  std::vector<std::string> made_;
};

int use_memory(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (size_t at = 0; at < bytes; at += 4096) {
    static_cast<volatile char*>(memory)[at] = 1;
  }
  return 7;
}

int burn() {
  for (volatile unsigned long count = 0; true;) {
    count = count + 1;
  }
}

TEST_F(Effects, AnAllocatorIsKilledAndTheKernelSaysWhy) {
  const Cgroup cgroup = make({.memory = {.limit = 32 << 20, .swap = 32 << 20}});
  EXPECT_FALSE(oom_notice(cgroup));
  process::Child child = start(cgroup, [] { return use_memory(96 << 20); });
  EXPECT_EQ(child.wait().exit_code(), 137);
  EXPECT_EQ(oom_notice(cgroup).value_or(""), "killed by the kernel: out of memory (limit 32MiB)");
  EXPECT_GE(read_stats(cgroup).memory->oom_kills, 1U);
}

// A machine's own swap is no toy: this one is made and used where the machine is ours alone.
TEST_F(Effects, WhatMayBeSwappedOutLivesAndNoMore) {
  if (std::getenv("JIGSAW_VM") == nullptr) {
    GTEST_SKIP() << "swap is only made in the virtual machine of tests/vm";
  }
  const files::TemporaryDirectory room("/var/tmp");
  const std::string file = room.path() + "/swap";
  const test::Result on = test::sh("dd if=/dev/zero of=" + file + " bs=1M count=96 && chmod 600 " + file + " && mkswap " + file + " && swapon " + file);
  ASSERT_EQ(on.code, 0) << on.err;
  const auto end_of_48_MiB_with = [&](int64_t memory_and_swap) {
    const Cgroup cgroup = make({.memory = {.limit = 16 << 20, .swap = memory_and_swap}});
    process::Child child = start(cgroup, [] { return use_memory(48 << 20); });
    return child.wait().exit_code();
  };
  EXPECT_EQ(end_of_48_MiB_with(80 << 20), 7) << "32 MiB of it go to the swap";
  EXPECT_EQ(end_of_48_MiB_with(32 << 20), 137) << "only 16 MiB may";
  EXPECT_EQ(end_of_48_MiB_with(16 << 20), 137) << "no swap at all";
  EXPECT_EQ(test::sh("swapoff " + file).code, 0);
}

TEST_F(Effects, WhatStaysBelowTheMemoryLimitLives) {
  const Cgroup cgroup = make({.memory = {.limit = 64 << 20}});
  process::Child child = start(cgroup, [] { return use_memory(16 << 20); });
  EXPECT_EQ(child.wait().exit_code(), 7);
  EXPECT_EQ(oom_kills(cgroup), 0U);
}

TEST_F(Effects, AForkBombStopsAtTheLimitOfProcesses) {
  const Cgroup cgroup = make({.pids = 10});
  process::Child child = start(cgroup, [] {
    int made = 0;
    for (int attempt = 0; attempt < 50; ++attempt) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::pause();
      }
      made += pid > 0 ? 1 : 0;
    }
    return made;
  });
  EXPECT_EQ(child.wait().exit_code(), 9);
  const Stats stats = read_stats(cgroup);
  EXPECT_EQ(stats.pids->current, 9U);
  EXPECT_EQ(stats.pids->limit, 10U);
  EXPECT_EQ(cgroup.processes().size(), 9U);
  cgroup.kill();
  EXPECT_TRUE(cgroup.processes().empty());
}

TEST_F(Effects, AQuotaIsNotExceeded) {
  const Cgroup cgroup = make({.cpu = {.quota = 20000, .period = 100000}});
  const auto begin = Clock::now();
  process::Child child = start(cgroup, burn);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  cgroup.kill();
  const double wall = std::chrono::duration<double>(Clock::now() - begin).count();
  const Stats stats = read_stats(cgroup);
  EXPECT_EQ(child.wait().exit_code(), 137);
  EXPECT_LT(static_cast<double>(stats.cpu->usage_ns) / 1e9 / wall, 0.26);
  EXPECT_GT(stats.cpu->throttled_periods, 3U);
}

TEST_F(Effects, SharesDivideABusyCpu) {
  if (lacks("cpuset")) {
    GTEST_SKIP() << "without cpusets the two can't be put on one CPU";
  }
  const Cgroup large = make({.cpu = {.shares = 3072, .cpus = "0"}});
  const Cgroup small = make({.cpu = {.shares = 1024, .cpus = "0"}});
  process::Child first = start(large, burn);
  process::Child second = start(small, burn);
  std::this_thread::sleep_for(std::chrono::milliseconds(2000));
  large.kill();
  small.kill();
  const double ratio = static_cast<double>(read_stats(large).cpu->usage_ns) / static_cast<double>(read_stats(small).cpu->usage_ns);
  EXPECT_EQ(first.wait().exit_code(), 137);
  EXPECT_EQ(second.wait().exit_code(), 137);
  // v2: shares 3072 are weight 238 against 100.
  EXPECT_GT(ratio, 1.6);
  EXPECT_LT(ratio, 4.5);
}

TEST_F(Effects, ACpusetKeepsItsProcessesOnItsCpus) {
  if (lacks("cpuset")) {
    GTEST_SKIP() << "no cpuset controller";
  }
  const Cgroup cgroup = make({.cpu = {.cpus = "0"}});
  process::Child child = start(cgroup, [] {
    cpu_set_t set;
    ::sched_getaffinity(0, sizeof set, &set);
    return CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set) ? 0 : 1;
  });
  EXPECT_EQ(child.wait().exit_code(), 0);
}

// The whole disk below a directory, which is what can be limited; absent on a tmpfs or an overlay.
std::optional<std::pair<int64_t, int64_t>> disk_below(const std::string& directory) {
  struct stat status {};
  check(::stat(directory.c_str(), &status), "stat {}", directory);
  std::string place = fmt::format("/sys/dev/block/{}:{}", major(status.st_dev), minor(status.st_dev));
  if (files::exists(place + "/partition")) {
    place += "/..";
  }
  const auto number = files::read_if_exists(place + "/dev");
  if (!number || files::exists(place + "/dm")) {  // a device mapper's limits are those of the disks below it
    return std::nullopt;
  }
  const size_t colon = number->find(':');
  return std::pair{static_cast<int64_t>(text::to_u64(number->substr(0, colon)).value_or(0)),
                   static_cast<int64_t>(text::to_u64(text::trim(std::string_view(*number).substr(colon + 1))).value_or(0))};
}

TEST_F(Effects, ADiskIsReadNoFasterThanItsRate) {
  const files::TemporaryDirectory room("/var/tmp");
  const auto disk = disk_below(room.path());
  if (lacks("io") || !disk) {
    GTEST_SKIP() << "no io controller, or no disk below /var/tmp";
  }
  constexpr size_t kBytes = 512 << 10;
  files::replace(room.path() + "/file", std::string(kBytes, 'x'));
  const auto seconds_to_read = [&](const Limits& limits) {
    const Cgroup cgroup = make(limits);
    const auto begin = Clock::now();
    process::Child child = start(cgroup, [&] {
      const Fd file = files::open(room.path() + "/file", O_RDONLY | O_DIRECT);  // past the page cache
      void* buffer = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      size_t got = 0;
      for (ssize_t count = 1; count > 0 && got < kBytes; got += static_cast<size_t>(count)) {
        count = ::pread(file.get(), buffer, 64 << 10, static_cast<off_t>(got));
      }
      return got == kBytes ? 0 : 1;
    });
    EXPECT_EQ(child.wait().exit_code(), 0);
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  const double free = seconds_to_read({});
  const double limited = seconds_to_read({.block_io = {.read_bps = {{disk->first, disk->second, kBytes / 2}}}});
  EXPECT_GT(limited, 1.2) << "half a file a second; without a limit it takes " << free;
  EXPECT_LT(free, limited);
}

TEST_F(Effects, AFrozenProcessStandsStillAndGoesOn) {
  const Cgroup cgroup = make({});
  process::Child child = start(cgroup, burn);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  cgroup.freeze();
  EXPECT_TRUE(cgroup.frozen());
  const uint64_t before = read_stats(cgroup).cpu->usage_ns;
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(read_stats(cgroup).cpu->usage_ns - before, 20000000U);
  cgroup.thaw();
  EXPECT_FALSE(cgroup.frozen());
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_GT(read_stats(cgroup).cpu->usage_ns, before);
}

TEST_F(Effects, KillReachesFrozenProcesses) {
  const Cgroup cgroup = make({});
  process::Child child = start(cgroup, burn);
  cgroup.freeze();
  cgroup.kill();
  EXPECT_EQ(child.wait().exit_code(), 137);
}

TEST_F(Effects, ASignalReachesEveryProcess) {
  const Cgroup cgroup = make({});
  process::Child child = start(cgroup, [] {
    if (::fork() == 0) {
      ::pause();
    }
    ::pause();
    return 0;
  });
  while (cgroup.processes().size() < 2) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  cgroup.signal_all(SIGTERM);
  EXPECT_EQ(child.wait().exit_code(), 143);
  for (int wait = 0; wait < 200 && !cgroup.processes().empty(); ++wait) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(cgroup.processes().empty());
}

TEST_F(Effects, ADeniedDeviceCantBeOpened) {
  const auto rule = [](DeviceRule::Answer answer, DeviceRule::Kind kind, std::optional<int64_t> minor) {
    return DeviceRule{answer, kind, minor ? std::optional<int64_t>(1) : std::nullopt, minor, "rwm"};
  };
  const Cgroup cgroup = make({.devices = {rule(DeviceRule::Answer::kDeny, DeviceRule::Kind::kAll, {}),
                                          rule(DeviceRule::Answer::kAllow, DeviceRule::Kind::kCharacter, 3)}});
  process::Child child = start(cgroup, [] {
    const auto opens = [](const char* path) { return test::is_root() && Fd(::open(path, O_RDWR | O_CLOEXEC)).get() >= 0; };
    return opens("/dev/null") && !opens("/dev/zero") && !opens("/dev/full") ? 0 : 1;
  });
  EXPECT_EQ(child.wait().exit_code(), 0);
}

TEST_F(Effects, LimitsCanBeRaisedAndLoweredLater) {
  const Cgroup cgroup = make({.memory = {.limit = 32 << 20, .swap = 32 << 20}, .cpu = {.quota = 20000, .period = 50000}});
  cgroup.apply({.memory = {.limit = 64 << 20, .swap = 64 << 20}, .cpu = {.quota = 200000, .period = 100000}, .pids = 20});
  EXPECT_EQ(read_stats(cgroup).memory->limit, uint64_t{64} << 20);
  EXPECT_EQ(read_stats(cgroup).pids->limit, 20U);
  cgroup.apply({.memory = {.limit = 16 << 20, .swap = 16 << 20}, .cpu = {.quota = 1000, .period = 10000}, .pids = -1});
  EXPECT_EQ(read_stats(cgroup).memory->limit, uint64_t{16} << 20);
  EXPECT_FALSE(read_stats(cgroup).pids->limit);
  cgroup.apply({.memory = {.limit = -1, .swap = -1}});
  EXPECT_FALSE(read_stats(cgroup).memory->limit);
}

TEST_F(Effects, ARefusedLimitSaysWhichFileAndWhy) {
  if (lacks("cpuset")) {
    GTEST_SKIP() << "no cpuset controller";
  }
  try {
    make({.cpu = {.cpus = "4000-4001"}});
    FAIL() << "CPU 4000 was given";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("cpuset.cpus"), std::string::npos) << error.what();
    EXPECT_NE(error.hint().find("the CPUs that may be given are"), std::string::npos) << error.hint();
  }
}

TEST_F(Effects, NothingStaysOfACreationThatFails) {
  Layout broken = layout_;
  broken.hierarchies.push_back(Hierarchy{Version::kV1, {"nonesuch"}, "/proc/self/nonesuch", "/", "/"});
  const auto before = test::host_snapshot();
  EXPECT_THROW(Cgroup::create(broken, "/jigsaw-test-broken"), Error);
  EXPECT_EQ(test::left_behind(before, test::host_snapshot()), "");
}

TEST_F(Effects, ABusyCgroupIsNotTakenTwice) {
  const Cgroup cgroup = make({});
  process::Child child = start(cgroup, [] { return ::pause(); });
  while (cgroup.processes().empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_THROW(Cgroup::create(layout_, cgroup.path()), Error);
  EXPECT_EQ(cgroup.processes().size(), 1U);
}

TEST_F(Effects, RemovalTakesTheCgroupsBelow) {
  Cgroup cgroup = make({});
  const Cgroup below = Cgroup::create(layout_, cgroup.path() + "/inner");
  process::Child child = start(below, [] { return ::pause(); });
  cgroup.kill();
  child.wait();
  cgroup.remove();
  EXPECT_FALSE(Cgroup::open(layout_, cgroup.path()).exists());
}

TEST_F(Effects, OnlyTheTreesThatAreNeededAreUsed) {
  Cgroup cgroup = Cgroup::create(layout_, "/jigsaw-test-" + files::random_hex(4), {.controllers = {"pids"}});
  made_.push_back(cgroup.path());
  EXPECT_NE(cgroup.find("pids"), nullptr);
  EXPECT_LE(cgroup.places().size(), 2U);
}

}  // namespace
}  // namespace jigsaw::cgroups
