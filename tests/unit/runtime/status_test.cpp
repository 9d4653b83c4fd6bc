// Whether a process lives, by what /proc says of it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/files.h"
#include "runtime/state.h"

namespace jigsaw::runtime {
namespace {

TEST(StartTime, IsKnownAsLongAsAThreadOfTheProcessLives) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::thread([] { ::pause(); }).detach();
    ::syscall(SYS_exit, 0);  // this thread alone: /proc calls the process a zombie now
  }
  const std::string stat = "/proc/" + std::to_string(child) + "/stat";
  for (int i = 0; i < 250 && files::read(stat).find(") Z ") == std::string::npos; ++i) {
    ::usleep(20'000);
  }
  EXPECT_NE(start_time(child), 0U);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(start_time(child), 0U);  // nobody lives, though it is still listed
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
}

}  // namespace
}  // namespace jigsaw::runtime
