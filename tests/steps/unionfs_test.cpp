// 04-unionfs from outside.
#include <signal.h>

#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "step.h"

namespace jigsaw::test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class UnionfsStep : public StepTest {
 protected:
  void SetUp() override {
    if (!is_root()) {
      GTEST_SKIP() << "the test compares the host's cgroups, which only root can make everywhere";
    }
    ASSERT_EQ(run_step("04-unionfs", {"layers", room("layers")}).code, 0);
    StepTest::SetUp();
  }
  Result on_layers(const std::string& script, const std::vector<std::string>& options = {}) const {
    std::vector<std::string> arguments = {"run"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    for (const std::string& word : {room("layers"), std::string("sh"), std::string("-c"), script}) {
      arguments.push_back(word);
    }
    return run_step("04-unionfs", arguments);
  }
};

TEST_F(UnionfsStep, TheRootIsAllLayersTogether) {
  const Result result = on_layers("echo $$; hostname; ls /; cat /etc/motd", {"--name", "box"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "1\nbox\nbin\ndev\netc\nhome\nproc\nroot\nrun\nsbin\nsys\ntmp\nusr\nvar\nWelcome to a jigsaw container.\n");
}

TEST_F(UnionfsStep, ChangesAreKeptApartAndListed) {
  EXPECT_EQ(on_layers("echo mine >/etc/motd; rm /etc/hosts; rm -r /var; mkdir /var; touch /new", {"--changes", room("c")}).code, 0);
  EXPECT_EQ(run_step("04-unionfs", {"diff", room("layers"), room("c")}).out,
            "C /etc\nD /etc/hosts\nC /etc/motd\nA /new\nR /var\n");
  EXPECT_EQ(files::read(room("layers/3-jigsaw/etc/motd")), "Welcome to a jigsaw container.\n");
  EXPECT_TRUE(files::exists(room("layers/2-system/etc/hosts")));
  // a second run on the same changes goes on where the first one stopped
  EXPECT_EQ(on_layers("cat /etc/motd; ls /etc/hosts 2>&1; ls /var", {"--changes", room("c")}).out,
            "mine\nls: /etc/hosts: No such file or directory\n");
}

TEST_F(UnionfsStep, WithoutChangesTheyGoWithTheRun) {
  EXPECT_EQ(on_layers("echo x >/file; cat /file").out, "x\n");
  EXPECT_EQ(on_layers("ls /file 2>/dev/null").code, 1);
  EXPECT_TRUE(files::list(room("run/records")).empty());
}

TEST_F(UnionfsStep, MoreLayersThanAMountOptionPageHolds) {
  for (int number = 0; number < 400; ++number) {
    const std::string layer = room(fmt::format("layers/9-a-name-that-is-not-short-at-all-{:03}", number));
    files::make_directories(layer + "/a/b/c");
    files::replace(layer + fmt::format("/a/b/c/file{}", number), "", {.sync = false});
  }
  EXPECT_EQ(on_layers("ls /a/b/c | wc -l; rm /a/b/c/file399; echo x >/a/b/c/file0; touch /a/b/new", {"--changes", room("c")}).out, "400\n");
  // with the descriptors that a process usually may have
  const Result diff = sh("ulimit -n 1024; exec " + text::shell_words(command("04-unionfs", {"diff", room("layers"), room("c")})));
  EXPECT_EQ(diff.out, "C /a\nC /a/b\nC /a/b/c\nC /a/b/c/file0\nD /a/b/c/file399\nA /a/b/new\n") << diff.err;
}

TEST_F(UnionfsStep, ChangesAreKeptOnlyWhereTheyHarmNothing) {
  const std::string layers = room("layers");
  files::make_directories(room("mine/work/of-years"));
  for (const BadInput& input : {
           BadInput{"", {"run", "--changes", layers, layers, "true"}, 125, "it would become a layer itself", "beside the layers"},
           BadInput{"", {"run", "--changes", layers + "/../layers/9-new", layers, "true"}, 125, "it would become a layer", ""},
           BadInput{"", {"run", "--changes=", layers, "true"}, 125, "--changes: its value is empty", "--help"},
           BadInput{"", {"run", "--changes", "/etc/passwd", layers, "true"}, 125, "/etc/passwd is not a directory", "in a directory"},
           BadInput{"", {"run", "--changes", room("mine"), layers, "true"}, 125, "/mine/work holds files already", "another one"}}) {
    check_bad_input("04-unionfs", input);
  }
  EXPECT_TRUE(files::is_directory(room("mine/work/of-years")));
  EXPECT_THAT(files::list(layers), ::testing::SizeIs(3));
  // a run that was killed is swept from anywhere: what it noted does not depend on where it was started
  const std::string words = text::shell_words(command("04-unionfs", {"run", "--changes", "kept", layers, "sh", "-c", "echo ready; exec sleep 1000"}));
  sh("cd " + room() + "; " + words + " >out 2>&1 & pid=$!; for i in $(seq 100); do [ -s " + room("out") + " ] && break; sleep 0.05; done; kill -9 $pid");
  files::make_directories(room("elsewhere/kept/work"));
  EXPECT_THAT(run_step("04-unionfs", {"undo"}, {.directory = room("elsewhere")}).out, HasSubstr("directory " + room("kept/work") + ": undone"));
  EXPECT_TRUE(files::is_directory(room("elsewhere/kept/work")));
}

TEST_F(UnionfsStep, ChangesThatAreKeptHoldNothingElse) {
  EXPECT_EQ(on_layers("touch /new", {"--changes", room("kept")}).code, 0);
  EXPECT_THAT(files::list(room("kept")), ::testing::ElementsAre("upper"));  // the kernel's scratch room is gone
  EXPECT_EQ(on_layers("ls /new", {"--changes", room("kept")}).out, "/new\n");
}

TEST_F(UnionfsStep, TheStepsBeforeAreAllThere) {
  const Result result = on_layers("echo $A $PWD $(hostname) $$",
                                  {"-e", "A=b", "-w", "/tmp", "--hostname", "box", "--without", "net", "--init", "--pids-limit", "9"});
  EXPECT_EQ(result.out, "b /tmp box 2\n") << result.err;
}

TEST_F(UnionfsStep, LimitsStillHold) {
  EXPECT_EQ(on_layers("tail /dev/zero", {"--memory", "16m"}).code, 137);
}

TEST_F(UnionfsStep, AKilledRunIsSwept) {
  const int pid = start_step("04-unionfs", {"run", room("layers"), "sh", "-c", "echo ready; exec sleep 1000"});
  ::kill(pid, SIGKILL);
  wait_until_gone(pid);
  const Result undone = run_step("04-unionfs", {"undo"});
  EXPECT_THAT(undone.out, HasSubstr("process "));
  EXPECT_THAT(undone.out, HasSubstr("cgroup "));
  EXPECT_THAT(undone.out, HasSubstr("directory "));
  EXPECT_TRUE(files::list(room("run/records")).empty()) << undone.out;
}

TEST_F(UnionfsStep, RefusesBadInputWithOneClearLine) {
  files::make_directories(room("empty"));
  for (const BadInput& input : {
           BadInput{"", {"run", room("none"), "sh"}, 125, "is not a directory of layers", "'layers DIR'"},
           BadInput{"", {"run", "/etc/passwd", "sh"}, 125, "/etc/passwd is not a directory of layers", "'layers DIR'"},
           BadInput{"", {"run", "--name", "..", room("layers"), "sh"}, 125, "\"..\" is no name", "begin with a letter"},
           BadInput{"", {"run", "--without", "mnt", room("layers"), "sh"}, 125, "can't be stacked", "leave mnt"},
           BadInput{"", {"run", room("layers")}, 125, "the program to run is missing", "--help"},
           BadInput{"", {"run", room("empty"), "sh"}, 125, "holds no layers", "each directory in it is a layer"},
           BadInput{"", {"run", room("layers"), "none"}, 127, "not found", "PATH="},
           BadInput{"", {"run", "--memory", "lots", room("layers"), "sh"}, 125, "--memory must be a size", ""},
           BadInput{"", {"diff", room("none"), room("none")}, 125, "is not a directory of layers", ""},
           BadInput{"", {"diff", room("layers"), room("none")}, 125, "holds no changes of a run", "--changes"}}) {
    check_bad_input("04-unionfs", input);
  }
}

}  // namespace
}  // namespace jigsaw::test
