// Cgroups on a made-up machine: directories that stand for trees, files that record what is written.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "cgroups/cgroup.h"
#include "cgroups/stats.h"

namespace jigsaw::cgroups {
namespace {

// A v1 memory tree and a v2 tree below a temporary directory, with one cgroup /box in each.
class MadeUp : public ::testing::Test {
 protected:
  MadeUp() {
    layout_.hierarchies.push_back(Hierarchy{Version::kV1, {"memory"}, directory_.path() + "/memory", "/", "/"});
    layout_.hierarchies.push_back(Hierarchy{Version::kV2, {"pids", "cpu"}, directory_.path() + "/unified", "/", "/"});
    files::make_directories(directory_.path() + "/memory/box");
    files::make_directories(directory_.path() + "/unified/box/inner");
  }
  void put(const std::string& path, const std::string& text) const { std::ofstream(directory_.path() + path) << text; }
  std::string get(const std::string& path) const { return files::read(directory_.path() + path); }
  std::string message(const std::function<void()>& action) const {
    try {
      action();
    } catch (const Error& error) {
      return error.message() + " | " + error.hint();
    }
    return "no error";
  }

  files::TemporaryDirectory directory_;
  Layout layout_;
};

TEST_F(MadeUp, EachLimitGoesToTheTreeOfItsController) {
  put("/memory/box/memory.limit_in_bytes", "");
  put("/unified/box/pids.max", "");
  put("/unified/box/cpu.max", "max 50000\n");
  const Cgroup cgroup = Cgroup::open(layout_, "/box");
  ASSERT_EQ(cgroup.places().size(), 2U);
  cgroup.apply({.memory = {.limit = 65536}, .cpu = {.period = 20000}, .pids = 7});
  EXPECT_EQ(get("/memory/box/memory.limit_in_bytes"), "65536");
  EXPECT_EQ(get("/unified/box/pids.max"), "7");
  EXPECT_EQ(get("/unified/box/cpu.max"), "max 20000\n");
}

TEST_F(MadeUp, AMissingFileIsExplained) {
  const Cgroup cgroup = Cgroup::open(layout_, "/box");
  EXPECT_NE(message([&] { cgroup.apply({.pids = 7}); }).find("the controller pids is not enabled"), std::string::npos);
  put("/memory/box/memory.limit_in_bytes", "");
  EXPECT_NE(message([&] { cgroup.apply({.memory = {.limit = 65536, .swap = 131072}}); }).find("swapaccount=1"), std::string::npos);
}

TEST_F(MadeUp, AControllerThatNoTreeHasIsNamed) {
  const Cgroup cgroup = Cgroup::open(layout_, "/box");
  EXPECT_NE(message([&] { cgroup.apply({.cpu = {.cpus = "0"}}); }).find("no cgroup controller cpuset"), std::string::npos);
}

TEST_F(MadeUp, ProcessesAreThoseOfTheCgroupsBelowToo) {
  put("/unified/box/cgroup.procs", "11\n12\n");
  put("/unified/box/inner/cgroup.procs", "13\n0\n12\n");
  EXPECT_EQ(Cgroup::open(layout_, "/box").processes(), (std::vector<pid_t>{11, 12, 13}));
}

TEST_F(MadeUp, ALinkInATreeIsNotFollowed) {
  std::filesystem::create_symlink("/", directory_.path() + "/unified/out");
  EXPECT_THROW(Cgroup::open(layout_, "/out/etc"), Error);
  EXPECT_THROW(Cgroup::open(layout_, "/box/../../etc"), Error);
}

TEST_F(MadeUp, WhatIsNotThereIsRemovedWithoutAnError) {
  Cgroup cgroup = Cgroup::open(layout_, "/nothing");
  EXPECT_FALSE(cgroup.exists());
  EXPECT_NO_THROW(cgroup.remove());
}

TEST_F(MadeUp, StatsAreReadFromEachTree) {
  put("/memory/box/memory.usage_in_bytes", "4096\n");
  put("/memory/box/memory.limit_in_bytes", "9223372036854771712\n");
  put("/memory/box/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  put("/memory/box/memory.stat", "cache 1\ntotal_cache 10\ntotal_rss 20\n");
  put("/unified/box/pids.current", "3\n");
  put("/unified/box/pids.max", "max\n");
  put("/unified/box/cpu.stat", "usage_usec 5\nnr_throttled 1\n");
  const Cgroup cgroup = Cgroup::open(layout_, "/box");
  const Stats stats = read_stats(cgroup);
  EXPECT_EQ(stats.memory->usage, 4096U);
  EXPECT_FALSE(stats.memory->limit);
  EXPECT_EQ(stats.memory->anonymous, 20U);
  EXPECT_EQ(stats.pids->current, 3U);
  EXPECT_FALSE(stats.pids->limit);
  EXPECT_EQ(stats.cpu->usage_ns, 5000U);
  EXPECT_EQ(stats.cpu->throttled_periods, 1U);
  EXPECT_EQ(oom_notice(cgroup), "killed by the kernel: out of memory");
  put("/memory/box/memory.limit_in_bytes", "67108864\n");
  EXPECT_EQ(oom_notice(cgroup), "killed by the kernel: out of memory (limit 64MiB)");
}

}  // namespace
}  // namespace jigsaw::cgroups
