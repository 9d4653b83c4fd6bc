// 05-image from outside, on the image that is built in. Registries are the business of tests/clients and tests/faults.
#include <filesystem>

#include "base/text.h"
#include "step.h"

namespace jigsaw::test {
namespace {

class ImageStep : public StepTest {
 protected:
  void SetUp() override {
    if (!is_root()) {
      GTEST_SKIP() << "the test compares the host's cgroups, which only root can make everywhere";
    }
    StepTest::SetUp();
  }
};

TEST_F(ImageStep, RunsTheBuiltInImageInIsolation) {
  const Result result = run_step("05-image", {"--root", room("images"), "run", "jigsaw/base", "sh", "-c", "echo $$; hostname; ls /"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, ::testing::MatchesRegex("1\n[0-9a-f]+\nbin\ndev\netc\nhome\nproc\nroot\nrun\nsbin\nsys\ntmp\nusr\nvar\n"));
}

TEST_F(ImageStep, WorksWithoutRootAndWithoutNoise) {
  constexpr uid_t kSomebody = 12346;
  std::filesystem::permissions(room(), std::filesystem::perms::all);
  const Result result = run_step("05-image", {"--root", room("images"), "run", "jigsaw/base", "--", "sh", "-c", "echo $$ $(id -u)"}, {.uid = kSomebody});
  EXPECT_EQ(result.out, "1 0\n");
  EXPECT_EQ(result.err, "");
}

TEST_F(ImageStep, TheStoreMayBeGivenByARelativePath) {
  const Result result = run_step("05-image", {"--root", "images", "run", "jigsaw/base", "cat", "/etc/motd"}, {.directory = room()});
  EXPECT_EQ(result.out, "Welcome to a jigsaw container.\n") << result.err;
}

TEST_F(ImageStep, TheCommandLineAddsToWhatTheImageSays) {
  const Result result = run_step("05-image", {"--root", room("images"), "run", "-e", "A=b", "--init", "--hostname=box", "-w", "/tmp",
                                              "jigsaw/base", "--", "sh", "-c", "echo $A $PWD $(hostname) $$ $PATH"});
  EXPECT_THAT(result.out, ::testing::MatchesRegex("b /tmp box 2 .*/bin.*\n")) << result.err;
}

TEST_F(ImageStep, TheBuiltInImageIsPulledWithoutANetwork) {
  for (const std::string program : {"05-image", "jigsaw"}) {
    const Result result = sh("unshare --net " + text::shell_words(command(program, {"--root", room(program), "pull", "jigsaw/base"})));
    EXPECT_THAT(result.out, ::testing::MatchesRegex("sha256:[0-9a-f]{64}\n")) << program << result.err;
  }
}

TEST_F(ImageStep, RefusesBadInputWithOneClearLine) {
  for (const BadInput& input : {
           BadInput{"", {"--root", room("i"), "run"}, 125, "IMAGE is missing", "--help"},
           BadInput{"", {"--root", room("i"), "pull", "localhost:1/none"}, 125, "localhost:1", "whether it is running"},
           BadInput{"", {"--root", "", "run", "jigsaw/base"}, 125, "--root: its value is empty", "--help"},
           BadInput{"", {"--root", "/etc/passwd", "run", "jigsaw/base"}, 125, "make directory /etc/passwd: Not a directory", "--root DIR"},
           BadInput{"", {"--root", room("i"), "diff", "jigsaw/base", room("none")}, 125, "holds no changes of a run", "--changes"},
           BadInput{"", {"--root", room("i"), "run", "Bad:Name:1", "sh"}, 125, "is no image reference", "a reference looks like"},
           BadInput{"", {"--root", room("i"), "run", "localhost:1/none", "sh"}, 125, "localhost:1", "whether it is running"},
           BadInput{"", {"--root", room("i"), "run", "jigsaw/base", "--init", "sh"}, 127, "not found", "options stand before IMAGE"},
           BadInput{"", {"--root", room("i"), "run", "jigsaw/base", "none"}, 127, "not found", "PATH="},
           BadInput{"", {"--root", room("i"), "run", "jigsaw/base", "/etc/motd"}, 126, "Permission denied", ""}}) {
    check_bad_input("05-image", input);
  }
}

}  // namespace
}  // namespace jigsaw::test
