#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Lifecycle : public Bundle {};

TEST_F(Lifecycle, RunGivesTheProgramsOutputAndExitCode) {
  script("echo pid $$; exit 7");
  const auto result = run();
  EXPECT_EQ(result.code, 7);
  EXPECT_EQ(result.out, "pid 1\n");
}

TEST_F(Lifecycle, CreateStartKillDelete) {
  config["process"]["args"] = {"sleep", "60"};
  write();
  ASSERT_EQ(oci_detached("create --bundle " + bundle() + " " + kId), 0);
  EXPECT_NE(oci({"state", kId}).out.find("\"created\""), std::string::npos);
  EXPECT_NE(oci({"delete", kId}).code, 0);
  ASSERT_EQ(oci({"start", kId}).code, 0);
  EXPECT_NE(oci({"start", kId}).code, 0);
  EXPECT_NE(oci({"state", kId}).out.find("\"running\""), std::string::npos);
  EXPECT_EQ(oci({"exec", kId, "sh", "-c", "exit 3"}).code, 3);
  ASSERT_EQ(oci({"pause", kId}).code, 0);
  EXPECT_NE(oci({"state", kId}).out.find("\"paused\""), std::string::npos);
  EXPECT_NE(oci({"exec", kId, "true"}).code, 0);
  ASSERT_EQ(oci({"resume", kId}).code, 0);
  ASSERT_EQ(oci({"kill", kId, "KILL"}).code, 0);
  for (int i = 0; i < 100 && oci({"state", kId}).out.find("\"stopped\"") == std::string::npos; ++i) {
    ::usleep(20'000);
  }
  EXPECT_NE(oci({"kill", kId, "TERM"}).code, 0);
  EXPECT_EQ(oci({"delete", kId}).code, 0);
  EXPECT_NE(oci({"delete", kId}).code, 0);
  EXPECT_EQ(oci({"delete", "--force", kId}).code, 0);
}

TEST_F(Lifecycle, ManyMayDeleteAContainerByForceAtOnce) {
  ASSERT_NO_FATAL_FAILURE(start_idle());
  const std::string one = test::bin("jigsaw-oci") + " --root " + bundle() + "/states delete --force " + kId;
  const auto result = test::sh("for i in 1 2 3 4 5 6; do " + one + " || echo failed & done; wait");
  EXPECT_EQ(result.out + result.err, "");
  EXPECT_NE(oci({"state", kId}).code, 0);
}

TEST_F(Lifecycle, WithoutAProcessItIsCreatedButNotStarted) {
  config.erase("process");
  write();
  ASSERT_EQ(oci_detached("create --bundle " + bundle() + " " + kId), 0);
  EXPECT_NE(oci({"start", kId}).code, 0);
  EXPECT_NE(oci({"state", kId}).out.find("\"stopped\""), std::string::npos);
}

TEST_F(Lifecycle, MissingAndUnusableProgramsHaveTheirCodes) {
  config["process"]["args"] = {"nosuch"};
  EXPECT_EQ(run().code, 127);
  config["process"]["args"] = {"/etc"};
  EXPECT_EQ(run().code, 126);
}

TEST_F(Lifecycle, AnotherUserHasNoCapabilities) {
  config["process"]["user"] = {{"uid", 5}, {"gid", 6}};
  config["process"]["capabilities"] = {{"bounding", {"CAP_KILL"}}, {"inheritable", {"CAP_KILL"}}};
  script("id -u; grep -c 'CapEff:.0000000000000000' /proc/self/status");
  ::symlink("busybox", root("bin/grep").c_str());
  EXPECT_EQ(run().out, "5\n1\n");
}

TEST_F(Lifecycle, AMemoryLimitOf256KiBIsEnough) {
#ifdef JIGSAW_SANITIZED
  GTEST_SKIP() << "the runtime built with sanitizers needs more than that itself";
#endif
  config["linux"]["resources"]["memory"] = {{"limit", 256 * 1024}};
  config["process"]["args"] = {"true"};
  // The kernel takes memory from a limit in lots of 64 pages for each processor: the whole of this one. On a busy machine a
  // process that is moved to another processor may find nothing left, until the first has given its lot back.
  int code = -1;
  for (int tries = 0; tries < 5 && code != 0; ++tries) {
    code = run().code;
  }
  EXPECT_EQ(code, 0);
}

TEST_F(Lifecycle, TheDefaultFilterIsLoadedAndCached) {
  config["linux"]["seccomp"] = {{"defaultAction", "SCMP_ACT_ALLOW"},
                                {"syscalls", {{{"names", {"mkdir", "mkdirat"}}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", 1}}}}};
  config["root"]["readonly"] = false;
  ::symlink("busybox", root("bin/mkdir").c_str());
  script("mkdir /x");
  for (int i = 0; i < 2; ++i) {
    EXPECT_NE(run().err.find("not permitted"), std::string::npos);
  }
}

TEST_F(Lifecycle, HooksReadTheStateAndOneThatHangsIsKilled) {
  const std::string out = bundle() + "/hook";
  config["hooks"]["createRuntime"] = {{{"path", "/bin/sh"}, {"args", {"sh", "-c", "cat > " + out}}}};
  config["hooks"]["poststart"] = {{{"path", "/bin/true"}}};
  config["process"]["args"] = {"true"};
  ASSERT_EQ(run().code, 0);
  EXPECT_EQ(nlohmann::json::parse(files::read(out))["id"], kId);
  config["hooks"]["createRuntime"] = {{{"path", "/bin/sleep"}, {"args", {"sleep", "60"}}, {"timeout", 1}}};
  EXPECT_NE(run().err.find("not done after 1 s"), std::string::npos);
}

}  // namespace
}  // namespace jigsaw::runtime
