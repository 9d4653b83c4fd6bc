// 01-process from outside.
#include <signal.h>

#include "base/text.h"
#include "step.h"

namespace jigsaw::test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class ProcessStep : public StepTest {
 protected:
  Result step(const std::vector<std::string>& arguments, const RunOptions& options = {}) const {
    return run_step("01-process", arguments, options);
  }
};

TEST_F(ProcessStep, HandsOnInputOutputAndExitCode) {
  const Result result = step({"run", "sh", "-c", "cat; echo problem >&2; exit 3"}, {.input = "given"});
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.out, "given");
  EXPECT_EQ(result.err, "problem\n");
}

TEST_F(ProcessStep, ASignalThatEndsTheProgramIs128More) {
  EXPECT_EQ(step({"run", "sh", "-c", "kill -9 $$"}).code, 137);
  EXPECT_EQ(step({"run", "sh", "-c", "kill -TERM $$"}).code, 143);
}

TEST_F(ProcessStep, SetsEnvironmentAndDirectory) {
  const RunOptions options{.environment = {{"FROM_US", "ours"}, {"CHANGED", "old"}}};
  const Result result = step({"run", "-e", "A=1=2", "--env", "CHANGED=new", "--env", "ABSENT", "--cwd", "/tmp", "sh", "-c",
                              "echo $A $CHANGED $FROM_US ${ABSENT-none}; pwd"}, options);
  EXPECT_EQ(result.out, "1=2 new ours none\n/tmp\n");
}

TEST_F(ProcessStep, OptionsAfterTheProgramAreTheProgramsOwn) {
  EXPECT_EQ(step({"run", "echo", "--env", "-w", "--explain"}).out, "--env -w --explain\n");
}

TEST_F(ProcessStep, ForwardsSignals) {
  const int pid = start_step("01-process", {"run", "sh", "-c",
                                             "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.05; done"});
  ::kill(pid, SIGTERM);
  wait_until_gone(pid);
  EXPECT_EQ(files::read(room("out")), "ready\ngot it\n");
}

TEST_F(ProcessStep, ReapsOrphans) {
  // the inner shell ends at once: its sleep becomes an orphan, falls to us, and ends before the program does
  const Result result = step({"run", "sh", "-c", "(sleep 0.2 & echo $!); sleep 0.6; ps -e -o pid,stat"});
  const std::string orphan(text::lines(result.out).front());
  EXPECT_THAT(result.out.substr(orphan.size()), Not(HasSubstr(" " + orphan + " Z")));
  EXPECT_THAT(result.out.substr(orphan.size()), Not(HasSubstr(" " + orphan + " S")));
}

TEST_F(ProcessStep, PsListsWhatPsLists) {
  const Result result = step({"run", "sh", "-c", bin("01-process") + " ps"});
  EXPECT_THAT(result.out, HasSubstr("PID"));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("\n1 +[^ ]+ +[0-9:-]+ +[^\n]+\n"));
  const Result other = sh("ps -e -o pid=,comm= | head -40");
  for (const std::string_view line : text::lines(other.out)) {
    const auto words = text::words(line);
    if (words.size() == 2 && text::to_u64(words[0]).value_or(0) < 40) {  // those of the kernel stay
      EXPECT_THAT(result.out, ::testing::ContainsRegex("\n" + std::string(words[0]) + " "));
    }
  }
}

TEST_F(ProcessStep, InspectShowsParentMemoryAndOpenFiles) {
  const Result result = step({"run", "sh", "-c", "exec 9</etc/hostname; " + bin("01-process") + " inspect $$; echo parent $PPID"});
  EXPECT_EQ(result.code, 0) << result.err;
  const std::string parent = result.out.substr(result.out.rfind("parent ") + 7);
  EXPECT_THAT(result.out, HasSubstr("  parent          " + parent));
  EXPECT_THAT(result.out, HasSubstr("[stack]"));
  EXPECT_THAT(result.out, HasSubstr("[heap]"));
  EXPECT_THAT(result.out, HasSubstr("  9 -> /etc/hostname\n"));
}

TEST_F(ProcessStep, AKilledRunIsSweptByUndoOrTheNextRun) {
  for (const bool by_undo : {true, false}) {
    const int pid = start_step("01-process", {"run", "sh", "-c", "echo $$; exec sleep 1000"});
    const std::string program(text::trim(files::read(room("out"))));
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    wait_until_gone(pid);
    EXPECT_TRUE(is_alive(std::stoi(program)));
    if (by_undo) {
      EXPECT_THAT(step({"undo"}).out, MatchesRegex("process " + program + ":[0-9]+: undone\n"));
    } else {
      EXPECT_EQ(step({"run", "true"}).code, 0);
    }
    EXPECT_FALSE(is_alive(std::stoi(program)));
    EXPECT_EQ(step({"undo"}).out, "");
  }
}

TEST_F(ProcessStep, ALivingRunIsNotSwept) {
  const int pid = start_step("01-process", {"run", "sh", "-c", "echo ready; exec sleep 1000"});
  EXPECT_EQ(step({"undo"}).out, "");
  ::kill(pid, SIGTERM);
  wait_until_gone(pid);
}

TEST_F(ProcessStep, NoPlaceForRecordsIsSaidWithAWayOut) {
  const Result result = run({bin("01-process"), "--run-root", "/proc/nowhere", "run", "true"});
  EXPECT_EQ(result.code, 125);
  EXPECT_THAT(result.err, MatchesRegex("01-process: error: make directory /proc/nowhere: .*\n  hint: .*--run-root\n"));
}

class ProcessStepRefuses : public StepTest, public ::testing::WithParamInterface<BadInput> {};
TEST_P(ProcessStepRefuses, WithOneClearLine) { check_bad_input("01-process", GetParam()); }
INSTANTIATE_TEST_SUITE_P(
    BadInput, ProcessStepRefuses,
    ::testing::Values(
        BadInput{"NoCommand", {}, 125, "a command is missing", "--help"},
        BadInput{"UnknownCommand", {"rnu"}, 125, "unknown command \"rnu\", did you mean 'run'?", "--help"},
        BadInput{"UnknownFlag", {"run", "--evn", "x", "true"}, 125, "unknown flag \"--evn\", did you mean '--env'?", "--help"},
        BadInput{"FlagWrittenOut", {"run", "--environment", "x", "true"}, 125, "did you mean '--env'?", "--help"},
        BadInput{"FlagThatIsNoLetter", {"run", "-\u00e9", "true"}, 125, "unknown flag \"-\u00e9\"", "--help"},
        BadInput{"NoProgram", {"run"}, 125, "the program to run is missing", "--help"},
        BadInput{"NotFound", {"run", "no-such-program"}, 127, "program \"no-such-program\" not found", "PATH="},
        BadInput{"ControlBytes", {"run", "/no/\033[2Jsuch"}, 127, "execute /no/?[2Jsuch: No such file", ""},
        BadInput{"NoSuchPath", {"run", "/no/such/program"}, 127, "execute /no/such/program: No such file", ""},
        BadInput{"NotExecutable", {"run", "/etc/passwd"}, 126, "execute /etc/passwd: Permission denied", "x permission"},
        BadInput{"ADirectory", {"run", "/tmp"}, 126, "execute /tmp: Permission denied", "directory"},
        BadInput{"NoDirectory", {"run", "--cwd", "/no/such", "true"}, 125, "change directory to /no/such", ""},
        BadInput{"NamelessVariable", {"run", "--env", "=x", "true"}, 125, "has no name", "NAME=value"},
        BadInput{"NoProcess", {"inspect", "2147483647"}, 125, "no process 2147483647", "ps"},
        BadInput{"NoNumber", {"inspect", "12abc"}, 125, "PID must be a whole number", ""},
        BadInput{"NoPid", {"inspect"}, 125, "PID is required", "--help"}),
    [](const auto& input) { return input.param.name; });

}  // namespace
}  // namespace jigsaw::test
