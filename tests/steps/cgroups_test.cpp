// 03-cgroups from outside: limits that are felt.
#include <signal.h>

#include <thread>

#include "base/text.h"
#include "step.h"

namespace jigsaw::test {
namespace {

using ::testing::HasSubstr;

class CgroupsStep : public StepTest {
 protected:
  void SetUp() override {
    if (!is_root()) {
      GTEST_SKIP() << "limits are set by root";
    }
    StepTest::SetUp();
    ASSERT_EQ(run_step("03-cgroups", {"rootfs", room("root")}).code, 0);
  }
  Result step(std::vector<std::string> options, const std::string& script) const {
    options.insert(options.begin(), "run");
    for (const std::string& word : {room("root"), std::string("sh"), std::string("-c"), script}) {
      options.push_back(word);
    }
    return run_step("03-cgroups", options);
  }
};

TEST_F(CgroupsStep, RunsInIsolation) {
  const Result result = step({"--name", "web"}, "echo $$; hostname; ls /; cut -d: -f3 /proc/self/cgroup | sort -u");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("1\nweb\nbin\n"));
  EXPECT_TRUE(result.out.ends_with("\n/\n")) << result.out;  // its cgroup is the root of what it sees
}

TEST_F(CgroupsStep, AnAllocatorIsKilledAndTheMessageSaysWhy) {
  const Result result = step({"--memory", "16m", "--memory-swap", "16m"}, "x=a; while :; do x=$x$x; done");
  EXPECT_EQ(result.code, 137);
  EXPECT_THAT(result.err, HasSubstr("killed by the kernel: out of memory (limit 16MiB)"));
}

TEST_F(CgroupsStep, AForkBombStopsAtItsLimit) {
  const Result result = step({"--pids-limit", "8"}, "i=0; while [ $i -lt 20 ]; do sleep 5 & i=$((i+1)); done");
  EXPECT_NE(result.code, 0);
  EXPECT_THAT(result.err, HasSubstr("can't fork"));
}

TEST_F(CgroupsStep, AQuotaSlowsABusyLoop) {
  const std::string count = "end=$(($(date +%s)+2)); n=0; while [ $(date +%s) -lt $end ]; do n=$((n+1)); done; echo $n";
  const Result slow = step({"--cpus", "0.1"}, count);
  const Result fast = step({}, count);
  EXPECT_LT(text::to_u64(text::trim(slow.out)).value_or(0) * 2, text::to_u64(text::trim(fast.out)).value_or(0));
}

TEST_F(CgroupsStep, StatsShowWhatRuns) {
  const int pid = start_step("03-cgroups", {"run", "--name", "busy", "--pids-limit", "9", "-m", "64m", room("root"), "sh", "-c",
                                             "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"});
  const Result stats = run_step("03-cgroups", {"stats"});
  ::kill(pid, SIGTERM);
  wait_until_gone(pid);
  EXPECT_THAT(stats.out, HasSubstr("busy"));
  EXPECT_THAT(stats.out, HasSubstr(" / 9"));
  EXPECT_THAT(stats.out, HasSubstr(" / 64MiB"));
}

TEST_F(CgroupsStep, WhatAKilledRunLeavesIsUndone) {
  const int pid = start_step("03-cgroups", {"run", "--name", "orphan", room("root"), "sh", "-c", "echo ready; sleep 100"});
  ::kill(pid, SIGKILL);
  wait_until_gone(pid);
  const Result undone = run_step("03-cgroups", {"undo"});
  EXPECT_EQ(undone.code, 0);
  EXPECT_THAT(undone.out, HasSubstr("cgroup /jigsaw-orphan"));
}

TEST_F(CgroupsStep, RefusesWhatIsNoLimit) {
  const std::string root = room("root");
  for (const BadInput& input : std::vector<BadInput>{
           {"Memory", {"run", "--memory", "lots", root, "true"}, 125, "--memory must be a size", "64k"},
           {"Empty", {"run", "--memory=", root, "true"}, 125, "--memory: its value is empty", ""},
           {"Negative", {"run", "--memory=-5", root, "true"}, 125, "--memory must be a size", "64k"},
           {"Giant", {"run", "--memory", "9223372036854775807", root, "true"}, 125, "--memory must be a size", ""},
           {"GiantPids", {"run", "--pids-limit", "99999999999", root, "true"}, 125, "pids.max: Invalid argument", "up to 4194304"},
           {"GiantCpus", {"run", "--cpus", "1000000", root, "true"}, 125, "from 0.01 to 65536", ""},
           {"Period", {"run", "--cpu-period", "1", root, "true"}, 125, "a cpu period of 1", "1000 to 1000000"},
           {"Shares", {"run", "--cpu-shares", "1", root, "true"}, 125, "from 2 to 262144", "1024"},
           {"Io", {"run", "--io-weight", "5", root, "true"}, 125, "an io weight of 5", "10 to 1000"},
           {"NoDisk", {"run", "--device-read-bps", "/dev/null:1mb", root, "true"}, 125, "no block device", "lsblk"},
           {"Pids", {"run", "--pids-limit", "0", root, "true"}, 125, "--pids-limit must not be 0", "-1"},
           {"Cpus", {"run", "--cpus", "x", root, "true"}, 125, "--cpus", ""},
           {"Cpuset", {"run", "--cpuset-cpus", "4000", root, "true"}, 125, "cpuset.cpus", "the CPUs that may be given are"},
           {"TooSmall", {"run", "--cpu-quota", "10", root, "true"}, 125, "a cpu quota of 10", "1000"},
           {"Name", {"run", "--name", "a/../b", root, "true"}, 125, "no name for a cgroup", "slash"},
           {"EmptyName", {"run", "--name", "", root, "true"}, 125, "no name for a cgroup", "begin with a letter"},
           {"TwoDots", {"run", "--name", "..", root, "true"}, 125, "no name for a cgroup", "begin with a letter"},
           {"Rootfs", {"run", "/nowhere", "true"}, 125, "/nowhere is not a directory", "03-cgroups rootfs DIR"},
           {"NoProgram", {"run", root}, 125, "the program to run is missing", "--help"},
           {"Program", {"run", root, "nonesuch"}, 127, "nonesuch", ""},
           {"Flag", {"run", "--memroy=1m", root, "true"}, 125, "unknown flag \"--memroy\", did you mean", "--help"}}) {
    SCOPED_TRACE(input.name);
    check_bad_input("03-cgroups", input);
  }
}

TEST_F(CgroupsStep, WithoutPrivilegeLimitsAreRefusedWithTheReason) {
  if (!have_program("setpriv")) {
    GTEST_SKIP() << "setpriv is not installed";
  }
  const Result result = run({"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", bin("03-cgroups"), "--run-root",
                             "/tmp/jigsaw-steps-nobody", "run", "-m", "16m", "/", "true"});
  sh("rm -rf /tmp/jigsaw-steps-nobody");
  EXPECT_EQ(result.code, 125);
  EXPECT_THAT(result.err, HasSubstr("Permission denied\n  hint: "));
}

}  // namespace
}  // namespace jigsaw::test
