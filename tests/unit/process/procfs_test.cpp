#include "process/procfs.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "process/exec.h"

namespace jigsaw::process {
namespace {

TEST(Procfs, TimesLookAsInPs) {
  EXPECT_EQ(cpu_time(0), "00:00:00");
  EXPECT_EQ(cpu_time(67), "00:01:07");
  EXPECT_EQ(cpu_time(3 * 86400 + 2 * 3600), "3-02:00:00");
}

TEST(Procfs, OneselfIsAmongTheProcesses) {
  const auto all = processes();
  const auto own = std::find_if(all.begin(), all.end(), [](const ProcessEntry& e) { return e.pid == ::getpid(); });
  ASSERT_NE(own, all.end());
  EXPECT_EQ(own->parent, ::getppid());
  EXPECT_EQ(own->state, 'R');
}

TEST(Procfs, NamesMayHoldParenthesesAndBlanks) {
  char former[16] = {};
  ::prctl(PR_GET_NAME, former);
  ::prctl(PR_SET_NAME, ") Z (x) 1 (");
  const ProcessEntry entry = process_entry(::getpid());
  ::prctl(PR_SET_NAME, former);
  EXPECT_EQ(entry.command, ") Z (x) 1 (");
  EXPECT_EQ(entry.parent, ::getppid());
}

TEST(Procfs, TheAddressSpaceHoldsTheStackAndThisFunction) {
  const auto regions = address_space(::getpid());
  const auto here = reinterpret_cast<uintptr_t>(&cpu_time);
  EXPECT_TRUE(std::any_of(regions.begin(), regions.end(), [&](const MemoryRegion& region) {
    return region.begin <= here && here < region.end && region.permissions[2] == 'x';
  }));
  EXPECT_TRUE(std::any_of(regions.begin(), regions.end(), [](const auto& r) { return r.backing == "[stack]"; }));
}

TEST(Procfs, OpenFilesAreListedByNumber) {
  const Fd file = files::open("/etc/hostname", O_RDONLY);
  const auto files = open_files(::getpid());
  EXPECT_TRUE(std::any_of(files.begin(), files.end(), [&](const OpenFile& open) {
    return open.number == file.get() && open.target == "/etc/hostname";
  }));
}

TEST(Procfs, AZombieHasNoMemory) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::_exit(0);
  }
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(process_entry(pid).state, 'Z');
  EXPECT_EQ(status_field(pid, "VmRSS"), "");
  EXPECT_TRUE(command_line(pid).empty());
  ::waitpid(pid, nullptr, 0);
  EXPECT_THROW(process_entry(pid), Error);
}

TEST(Environment, IsSetInPlaceOfAFormerValue) {
  std::vector<std::string> environment = {"A=1", "AB=2"};
  set_variable(environment, "A=3=4");
  set_variable(environment, "NO_SUCH_VARIABLE_HERE");
  EXPECT_THAT(environment, ::testing::ElementsAre("AB=2", "A=3=4"));
  EXPECT_THROW(set_variable(environment, "=x"), Error);
  EXPECT_THROW(set_variable(environment, ""), Error);
}

}  // namespace
}  // namespace jigsaw::process
