// Builds with the program itself, each in a root of its own.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/files.h"
#include "support/run.h"

namespace {

namespace fs = std::filesystem;
using jigsaw::test::Result;

class Builder : public testing::Test {
 protected:
  void SetUp() override {
    if (!jigsaw::test::is_root()) {
      GTEST_SKIP() << "needs root";
    }
    fs::create_directories(context());
  }
  std::string context() const { return room_.path() + "/context"; }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(context() + "/" + name).parent_path());
    std::ofstream(context() + "/" + name) << text;
  }
  Result build(std::vector<std::string> words = {}, const jigsaw::test::RunOptions& options = {}) const {
    std::vector<std::string> argv = {jigsaw::test::bin("jigsaw"), "--root",  room_.path() + "/root", "--run-root",
                                     room_.path() + "/run",       "build", "--progress", "plain"};
    argv.insert(argv.end(), words.begin(), words.end());
    argv.push_back(context());
    return jigsaw::test::run(argv, options);
  }
  // The files of the target stage.
  Result export_files(std::vector<std::string> words = {}) const {
    fs::remove_all(out());
    words.insert(words.end(), {"--output", "type=local,dest=" + out()});
    return build(words);
  }
  std::string out() const { return room_.path() + "/out"; }
  std::string read(const std::string& name) const { return jigsaw::files::read(out() + "/" + name); }

  jigsaw::files::TemporaryDirectory room_{"/tmp", "jigsaw-build-"};
};

TEST_F(Builder, CopiesFromOneStageToAnother) {
  write("Dockerfile", "FROM jigsaw/base AS a\nCOPY in /in\nRUN cat /in > /made; echo more >> /made\n"
                      "FROM scratch\nCOPY --from=a /made /result/\n");
  write("in", "hello\n");
  const Result result = export_files();
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(read("result/made"), "hello\nmore\n");
}

TEST_F(Builder, StepsThatChangeNothingShareALayer) {
  write("Dockerfile", "FROM jigsaw/base\nRUN true\nRUN true\nRUN echo x > /x\nRUN true\n");
  ASSERT_EQ(export_files().code, 0);
  EXPECT_EQ(read("x"), "x\n");
}

TEST_F(Builder, HitsByContentAndMissesOnAChange) {
  write("Dockerfile", "FROM scratch\nCOPY f /f\n");
  write("f", "1");
  const Result first = build();
  ASSERT_EQ(first.code, 0) << first.err;
  write("f", "1");  // a new time
  const Result again = build();
  EXPECT_NE(again.err.find("CACHED"), std::string::npos) << again.err;
  EXPECT_EQ(first.out, again.out);
  write("f", "2");
  const Result changed = build({"--explain-cache"});
  EXPECT_EQ(changed.err.find("CACHED"), std::string::npos) << changed.err;
  EXPECT_NE(changed.err.find("the content of f changed"), std::string::npos) << changed.err;
}

TEST_F(Builder, FailedRunGivesItsCodeAndLastLinesAndIsNotCached) {
  write("Dockerfile", "FROM jigsaw/base\nRUN echo last words; exit 7\n");
  for (int i = 0; i < 2; ++i) {
    const Result result = build();
    EXPECT_EQ(result.code, 7);
    EXPECT_NE(result.err.find("Dockerfile:2:1"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("| last words"), std::string::npos) << result.err;
  }
}

TEST_F(Builder, LinksOutOfTheContextLeadNowhere) {
  write("Dockerfile", "FROM scratch\nCOPY link /f\n");
  for (const char* target : {"/etc/passwd", "../../../../../../etc/passwd"}) {
    fs::remove(context() + "/link");
    fs::create_symlink(target, context() + "/link");
    const Result result = export_files();
    EXPECT_NE(result.code, 0) << target;
    EXPECT_NE(result.err.find("not found"), std::string::npos) << result.err;
  }
}

TEST_F(Builder, BindMountsThroughLinksStayInTheStage) {
  write("Dockerfile", "FROM jigsaw/base AS a\nRUN mkdir /d && ln -s / /d/out && echo own > /marker\n"
                      "FROM jigsaw/base\nRUN --mount=type=bind,from=a,source=/d/out,target=/m cat /m/marker > /seen\n");
  const Result result = export_files();
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(read("seen"), "own\n");
}

TEST_F(Builder, ChownWithAPasswdThatBlocksIsRefused) {
  write("Dockerfile", "FROM jigsaw/base\nRUN rm -f /etc/passwd && mkfifo /etc/passwd\nCOPY --chown=x Dockerfile /d\n");
  const Result result = build();
  EXPECT_NE(result.code, 0);
  EXPECT_NE(result.err.find("not a regular file"), std::string::npos) << result.err;
}

TEST_F(Builder, WorkdirThroughALinkStaysInTheImage) {
  write("Dockerfile", "FROM jigsaw/base\nRUN ln -s ../../../../../../tmp/jigsaw-escape /w\nWORKDIR /w/x\n");
  const Result result = export_files();
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_FALSE(fs::exists("/tmp/jigsaw-escape"));
  EXPECT_TRUE(fs::is_directory(out() + "/tmp/jigsaw-escape/x"));
}

TEST_F(Builder, FilesOfTheContextAreMountedAsACopy) {
  write("Dockerfile", "FROM jigsaw/base\nRUN --mount=type=bind,source=dir,target=/m,rw cp /m/f /seen && echo new > /m/f\n");
  write("dir/f", "old");
  const Result result = export_files();
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(read("seen"), "old");
  EXPECT_EQ(jigsaw::files::read(context() + "/dir/f"), "old");
  EXPECT_FALSE(fs::exists(out() + "/m"));
}

TEST_F(Builder, CacheMountsLiveOnFromStepToStepAndStayOutOfTheImage) {
  write("Dockerfile", "FROM jigsaw/base\nRUN --mount=type=cache,target=/c echo kept > /c/f\n"
                      "RUN --mount=type=cache,target=/c cp /c/f /seen\n");
  const Result result = export_files();
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(read("seen"), "kept\n");
  EXPECT_FALSE(fs::exists(out() + "/c"));
}

TEST_F(Builder, SecretsAreSeenByTheRunAlone) {
  write("Dockerfile", "FROM jigsaw/base\nRUN --mount=type=secret,id=s cat /run/secrets/s | tr a-z A-Z > /seen\n");
  write("secret", "word");
  const Result result = export_files({"--secret", "id=s,src=" + context() + "/secret"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(read("seen"), "WORD");
  EXPECT_FALSE(fs::exists(out() + "/run/secrets"));
}

TEST_F(Builder, StagesThatWaitForNobodyRunSideBySide) {
  write("Dockerfile", "FROM jigsaw/base AS a\n"
                      "RUN --mount=type=cache,id=m,target=/m touch /m/a; i=0; while [ ! -e /m/b ] && [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done; [ -e /m/b ] && touch /ok\n"
                      "FROM jigsaw/base AS b\n"
                      "RUN --mount=type=cache,id=m,target=/m touch /m/b; i=0; while [ ! -e /m/a ] && [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done; [ -e /m/a ] && touch /ok\n"
                      "FROM scratch\nCOPY --from=a /ok /a\nCOPY --from=b /ok /b\n");
  const Result result = export_files();
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(fs::exists(out() + "/a") && fs::exists(out() + "/b"));
}

TEST_F(Builder, LeavesNothingBehindEvenWhenARunDoesOrTheBuilderIsKilled) {
  const auto sleepers = [] { return jigsaw::test::sh("pgrep -f 'sleep 6007[1]' | wc -l").out; };
  const auto mounts = [&] { return jigsaw::files::read("/proc/self/mounts").find(room_.path()) != std::string::npos; };
  write("Dockerfile", "FROM jigsaw/base\nRUN (sleep 60071 &) ; echo started\n");
  ASSERT_EQ(build().code, 0);
  EXPECT_EQ(sleepers(), "0\n");
  EXPECT_FALSE(mounts());
  write("Dockerfile", "FROM jigsaw/base\nRUN echo 1 > /one\nRUN sleep 60071\n");
  build({}, {.while_running = [](int pid) {
           ::sleep(3);
           ::kill(pid, SIGKILL);
         }});
  ::usleep(500'000);
  EXPECT_EQ(sleepers(), "0\n");
  EXPECT_FALSE(mounts());
  std::string id;
  for (const auto& entry : fs::directory_iterator(room_.path() + "/run/builds")) {
    id = entry.path().filename().string().starts_with("build-") ? entry.path().filename().string() : id;
  }
  write("Dockerfile", "FROM jigsaw/base\nRUN echo 1 > /one\nRUN true\n");
  const Result again = build();
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.err.find("CACHED"), std::string::npos) << again.err;
  EXPECT_TRUE(fs::is_empty(room_.path() + "/run/building"));
  ASSERT_NE(id, "");
  EXPECT_FALSE(fs::exists(room_.path() + "/run/builds/" + id));
  EXPECT_EQ(jigsaw::test::sh("find /sys/fs/cgroup -name " + id).out, "");
}

TEST_F(Builder, TheSameEpochGivesTheSameImage) {
  write("Dockerfile", "FROM jigsaw/base\nWORKDIR /w\nCOPY Dockerfile .\nRUN date > /dev/null; echo x > /x\n");
  const Result one = build({"--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000"});
  const Result two = build({"--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000"});
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(one.out, two.out);
}

}  // namespace
