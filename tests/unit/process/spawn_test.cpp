#include "process/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "process/exec.h"
#include "process/signals.h"

namespace jigsaw::process {
namespace {

TEST(Spawn, TheChildWaitsAtTheGate) {
  const files::TemporaryDirectory place;
  const std::string mark = place.path() + "/mark";
  Child child = spawn({}, [&](Gate&) { return files::replace(mark, "", {.sync = false}), 7; });
  ::usleep(30'000);
  EXPECT_FALSE(files::exists(mark)) << "the body ran before the gate was opened";
  child.release();
  EXPECT_EQ(child.wait().code, 7);
  EXPECT_TRUE(files::exists(mark));
}

TEST(Spawn, AnUnreleasedChildIsKilledAndReaped) {
  pid_t pid = 0;
  {
    const Child child = spawn({}, [](Gate&) { return 0; });
    pid = child.pid();
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a zombie stayed";
}

TEST(Spawn, TheChildsErrorIsThrownInTheParent) {
  Child child = spawn({}, [](Gate&) -> int {
    throw Error("mount proc on /proc: Operation not permitted", "be root", 126).with_errno(EPERM);
  });
  child.release();
  try {
    child.wait_started();
    FAIL() << "no error arrived";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "mount proc on /proc: Operation not permitted");
    EXPECT_EQ(error.hint(), "be root");
    EXPECT_EQ(error.code(), 126);
    EXPECT_EQ(error.error_number(), EPERM);
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "the failed child stayed a zombie";
}

TEST(Spawn, ALongErrorIsCutNotLost) {
  Child child = spawn({}, [](Gate&) -> int { throw Error(std::string(1'000'000, 'x')); });
  child.release();
  EXPECT_THROW(child.wait_started(), Error);
}

TEST(Spawn, StopsOnTheWayCarryDescriptors) {
  Child child = spawn({}, [](Gate& gate) {
    const Pipe pipe = make_pipe();
    files::write_all(pipe.write_end.get(), "from the child", "pipe");
    gate.reach("halfway", {pipe.read_end.get()});
    return 3;
  });
  child.release();
  const std::vector<Fd> passed = child.wait_reached("halfway");
  ASSERT_EQ(passed.size(), 1U);
  char text[32] = {};
  EXPECT_EQ(::read(passed[0].get(), text, sizeof text), 14);
  EXPECT_EQ(::fcntl(passed[0].get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  child.release();
  EXPECT_EQ(child.wait().code, 3);
}

TEST(Spawn, WhatTheChildWillNeedLaterIsSentWhileItIsAtWork) {
  const Pipe pipe = make_pipe();
  Child child = spawn({}, [](Gate& gate) {
    gate.reach("at work");
    const std::vector<Fd> sent = gate.wait();
    files::write_all(sent.at(0).get(), "by descriptor", "pipe");
    return 3;
  });
  child.release();
  child.wait_reached("at work");
  child.release();
  child.release({pipe.write_end.get()});
  EXPECT_EQ(child.wait().code, 3);
  char text[32] = {};
  EXPECT_EQ(::read(pipe.read_end.get(), text, sizeof text), 13);
}

// It has thrown already, with something from us unread, or its end of the channel is closed: either way we are told why.
TEST(Spawn, AChildThatFailsBeforeItIsReleasedAgainIsHeard) {
  for (const int pause : {0, 1'000, 20'000}) {
    Child child = spawn({}, [](Gate&) -> int { throw Error("no such luck", "try again"); });
    child.release();
    ::usleep(static_cast<useconds_t>(pause));
    child.release();
    try {
      child.wait_reached("ready");
      FAIL();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "no such luck");
    }
  }
}

TEST(Spawn, ADeadChildIsReportedAtTheNextStop) {
  Child child = spawn({}, [](Gate&) { return ::raise(SIGKILL); });
  child.release();
  try {
    child.wait_reached("ready");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the child died before it was ready: killed by SIGKILL");
  }
}

TEST(Spawn, AChildWhoseParentDiesEndsAtTheGate) {
  const Pipe alive = make_pipe();
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    Child child = spawn({}, [](Gate&) { return 0; });
    child.detach();
    ::_exit(0);
  }
  ::waitpid(parent, nullptr, 0);
  ::close(const_cast<Pipe&>(alive).write_end.release());
  char byte = 0;
  EXPECT_EQ(::read(alive.read_end.get(), &byte, 1), 0) << "the grandchild still holds the pipe";
}

TEST(Spawn, NothingLeaksIntoTheProgram) {
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // what the caller of this test left open
  const Fd held = files::open("/dev/null", O_RDONLY);
  Pipe out = make_pipe();
  Child child = spawn({}, [&](Gate&) -> int {
    ::dup2(out.write_end.get(), STDOUT_FILENO);
    exec({{"sh", "-c", "ls /proc/self/fd | sort -n | tr '\\n' ' '"}, current_environment()});
  });
  out.write_end.reset();
  child.release();
  child.wait_started();
  EXPECT_EQ(child.wait().code, 0);
  char text[128] = {};
  ASSERT_GT(::read(out.read_end.get(), text, sizeof text - 1), 0);
  EXPECT_THAT(text, testing::MatchesRegex("0 1 2 3 ")) << "3 is the directory that ls reads";
}

TEST(Exec, SaysWhetherAProgramIsMissingOrNotExecutable) {
  const auto code_of = [](const std::string& name) {
    Child child = spawn({}, [&](Gate&) -> int { exec({{name}, current_environment()}); });
    child.release();
    try {
      child.wait_started();
    } catch (const Error& error) {
      return error.code();
    }
    return 0;
  };
  EXPECT_EQ(code_of("no-such-program"), kExitNotFound);
  EXPECT_EQ(code_of("/no/such/program"), kExitNotFound);
  EXPECT_EQ(code_of("/etc/passwd"), kExitNotExecutable);
  EXPECT_EQ(code_of("/etc"), kExitNotExecutable);
  EXPECT_EQ(code_of("true"), 0);
}

struct Result {
  ExitStatus status;
  std::string said;
};

TEST(Supervise, HandsSignalsOnAndKeepsExitCodes) {
  const SignalGuard guard;
  Child child = spawn({}, [](Gate&) -> int {
    exec({{"sh", "-c", "trap 'exit 42' TERM; kill -TERM $PPID; while :; do sleep 0.01; done"}, current_environment()});
  });
  child.release();
  child.wait_started();
  EXPECT_EQ(supervise(child).code, 42);
}

// What `script` prints on a terminal of its own at which `typed` is typed.
Result on_a_terminal(const std::string& typed, const std::string& script) {
  const SignalGuard guard;
  const Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  EXPECT_TRUE(master);
  EXPECT_EQ(::unlockpt(master.get()), 0);
  const std::string slave = ::ptsname(master.get());
  const files::TemporaryDirectory place;
  files::replace(place.path() + "/in", typed);
  // Our own stdin and stdout become files while the relay is at work.
  const Fd former = duplicate(STDOUT_FILENO);
  const Fd capture = files::open(place.path() + "/out", O_RDWR | O_CREAT);
  const Fd keys = files::open(place.path() + "/in", O_RDONLY);
  const Fd former_input = duplicate(STDIN_FILENO);
  ::dup2(capture.get(), STDOUT_FILENO);
  ::dup2(keys.get(), STDIN_FILENO);
  Child child = spawn({}, [&](Gate&) -> int {
    ::setsid();
    const int end = ::open(slave.c_str(), O_RDWR);
    for (const int fd : {0, 1, 2}) {
      ::dup2(end, fd);
    }
    exec({{"sh", "-c", script}, current_environment()});
  });
  child.release();
  child.wait_started();
  const ExitStatus status = supervise(child, {.terminal = master.get()});
  ::dup2(former.get(), STDOUT_FILENO);
  ::dup2(former_input.get(), STDIN_FILENO);
  return {status, files::read(place.path() + "/out")};
}

TEST(Supervise, CopiesWhatTheProgramsTerminalSays) {
  const Result result = on_a_terminal("", "test -t 0 && test -t 1 && echo on a terminal; cat; seq 1 20000; exit 5");
  EXPECT_EQ(result.status.code, 5);
  EXPECT_THAT(result.said, testing::StartsWith("on a terminal\r\n"));
  EXPECT_THAT(result.said, testing::EndsWith("20000\r\n")) << "the end of the output was lost";
}

TEST(Supervise, MoreMayBeTypedThanTheTerminalHoldsWhileTheProgramPrints) {
  std::string typed;
  for (int line = 1; line <= 40000; ++line) {
    typed += std::to_string(line) + "\n";
  }
  const Result result = on_a_terminal(typed, "stty -echo; echo ready; seq 1 40000; cat | tail -n 1; exit 5");
  EXPECT_EQ(result.status.code, 5);
  EXPECT_THAT(result.said, testing::EndsWith("\n40000\r\n40000\r\n"));
}

}  // namespace
}  // namespace jigsaw::process
