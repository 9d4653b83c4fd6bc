// Each program is killed at twenty instants of its life, from its first microseconds on; one further run must find and
// remove all that stayed.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "step.h"

namespace jigsaw::test {
namespace {

constexpr int kInstants = 20;
constexpr useconds_t kApart = 1500;  // microseconds: a run has started its program after 5 to 25 ms

class Killed : public StepTest {
 protected:
  void SetUp() override {
    if (!is_root()) {
      GTEST_SKIP() << "cgroups and mounts of their own need root";
    }
    StepTest::SetUp();
  }

  static void kill_after(const std::vector<std::string>& words, useconds_t delay) {
    std::vector<char*> argv;
    for (const std::string& word : words) {
      argv.push_back(const_cast<char*>(word.c_str()));
    }
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd < 3; ++fd) {
      ::posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    }
    pid_t pid = 0;
    ASSERT_EQ(::posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ), 0);
    ::posix_spawn_file_actions_destroy(&files);
    ::usleep(delay);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }

  // `before` are the options in front of the program that is run.
  void kill_often(const std::string& program, const std::vector<std::string>& before) {
    std::vector<std::string> lasting = before;
    lasting.insert(lasting.end(), {"sleep", "1000"});
    for (int instant = 0; instant < kInstants; ++instant) {
      kill_after(command(program, lasting), static_cast<useconds_t>(instant) * kApart);
    }
    std::vector<std::string> last = before;
    last.emplace_back("true");
    // The child of the run that was killed last may still be on its way to its program: until then it holds the record.
    for (int tries = 0; tries < 10; ++tries) {
      const Result result = run_step(program, last);
      EXPECT_EQ(result.code, 0) << result.err;
      EXPECT_EQ(result.err, "");
      if (files::list(room("run/records")).empty()) {
        break;
      }
      ::usleep(100000);
    }
    EXPECT_THAT(files::list(room("run/records")), ::testing::IsEmpty());
  }
};

TEST_F(Killed, Process) { kill_often("01-process", {"run"}); }
TEST_F(Killed, Namespaces) {
  ASSERT_EQ(run_step("02-namespaces", {"rootfs", room("rootfs")}).code, 0);
  kill_often("02-namespaces", {"run", room("rootfs")});
  kill_often("02-namespaces", {"run", "--init", room("rootfs")});
}
TEST_F(Killed, Cgroups) {
  ASSERT_EQ(run_step("03-cgroups", {"rootfs", room("rootfs")}).code, 0);
  kill_often("03-cgroups", {"run", "--memory", "64m", room("rootfs")});
}
TEST_F(Killed, Unionfs) {
  ASSERT_EQ(run_step("04-unionfs", {"layers", room("layers")}).code, 0);
  kill_often("04-unionfs", {"run", "--memory", "64m", room("layers")});
}
TEST_F(Killed, Image) { kill_often("05-image", {"--root", room("images"), "run", "--memory", "64m", "jigsaw/base"}); }

TEST_F(Killed, Jigsaw) {
  const std::vector<std::string> words = {bin("jigsaw"), "--root", room("root"), "--run-root", room("run"), "run", "--memory", "64m", "jigsaw/base", "sleep", "1000"};
  for (int instant = 0; instant < kInstants; ++instant) {
    kill_after(words, static_cast<useconds_t>(instant) * kApart);
  }
  const auto jigsaw = [&](const std::vector<std::string>& arguments) { return run_step("jigsaw", arguments); };
  EXPECT_EQ(jigsaw({"--root", room("root"), "run", "--rm", "jigsaw/base", "true"}).code, 0);
  EXPECT_EQ(jigsaw({"--root", room("root"), "ps", "--quiet"}).out, "") << "a dead one is listed as running";
  const Result pruned = jigsaw({"--root", room("root"), "system", "prune", "--all"});
  EXPECT_EQ(pruned.code, 0) << pruned.err;
  for (const char* place : {"root/containers", "root/changes", "root/names", "root/roots", "root/tmp", "run/locks"}) {
    EXPECT_THAT(files::list(room(place)), ::testing::IsEmpty()) << place;
  }
  EXPECT_THAT(files::list(room("run/containers")), ::testing::Each(::testing::Eq(".seccomp")));
}

}  // namespace
}  // namespace jigsaw::test
