// What must not pass from the caller, or from one container to the next, and what a container's files must not do to us.
#include <fstream>
#include <signal.h>

#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Boundary : public Bundle {
 protected:
  // jigsaw-oci started by another program, for example one that changes the rights that it has.
  test::Result by(const std::string& starter, const std::string& words) const {
    return test::sh(starter + " " + test::bin("jigsaw-oci") + " --root " + bundle() + "/states " + words,
                    {.timeout = std::chrono::seconds(30)});
  }
  int pid() const { return nlohmann::json::parse(oci({"state", kId}).out)["pid"]; }
};

TEST_F(Boundary, NoCapabilityOfTheCallerIsInherited) {  // CVE-2022-27650, CVE-2022-29162
  if (!test::have_program("setpriv")) {
    GTEST_SKIP() << "needs setpriv";
  }
  const std::string starter = "setpriv --inh-caps +net_raw,+kill --ambient-caps +net_raw,+kill";
  const std::string none = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n";
  ::symlink("busybox", root("bin/grep").c_str());
  config["process"]["args"] = {"grep", "-E", "^Cap(Inh|Amb)", "/proc/self/status"};
  write();
  EXPECT_EQ(by(starter, "run --bundle " + bundle() + " " + kId).out, none);
  ASSERT_NO_FATAL_FAILURE(start_idle());
  EXPECT_EQ(by(starter, "exec --cap CAP_NET_RAW " + kId + " grep -E '^Cap(Inh|Amb)' /proc/self/status").out, none);
}

TEST_F(Boundary, NoGroupOfTheCallerIsKept) {  // CVE-2022-36109, CVE-2023-25173
  if (!test::have_program("setpriv")) {
    GTEST_SKIP() << "needs setpriv";
  }
  config["process"]["args"] = {"id", "-G"};
  write();
  EXPECT_EQ(by("setpriv --groups 4,5,6", "run --bundle " + bundle() + " " + kId).out, "0\n");
  config["process"]["user"] = {{"uid", 8}, {"gid", 9}, {"additionalGids", {10}}};
  write();
  EXPECT_EQ(by("setpriv --groups 4,5,6", "run --bundle " + bundle() + " " + kId).out, "9 10\n");
  ASSERT_NO_FATAL_FAILURE(start_idle());
  EXPECT_EQ(by("setpriv --groups 4,5,6", "exec --user 3:3 " + kId + " id -G").out, "3 10\n");
}

TEST_F(Boundary, NoVariableOfTheCallerIsSeen) {  // CVE-2021-3602
  config["process"]["args"] = {"sh", "-c", "cat /proc/1/environ /proc/self/environ"};
  write();
  EXPECT_EQ(by("SECRET=sesame", "run --bundle " + bundle() + " " + kId).out.find("sesame"), std::string::npos);
  ASSERT_NO_FATAL_FAILURE(start_idle());
  EXPECT_EQ(by("SECRET=sesame", "exec " + kId + " sh -c 'cat /proc/self/environ'").out.find("sesame"), std::string::npos);
}

TEST_F(Boundary, NoVariableOfTheCallerWaitsWithAContainerForItsStart) {
  config["process"]["args"] = {"sleep", "60"};
  write();
  ASSERT_EQ(test::sh("SECRET=sesame " + test::bin("jigsaw-oci") + " --root " + bundle() + "/states create --bundle " + bundle() + " " + kId +
                     " </dev/null >/dev/null 2>&1").code, 0);
  EXPECT_EQ(files::read("/proc/" + std::to_string(pid()) + "/environ").find("sesame"), std::string::npos);
  EXPECT_EQ(oci({"start", kId}).code, 0);
}

TEST_F(Boundary, NoDescriptorOfTheCallerReachesAProgramThatIsAdded) {  // CVE-2024-21626
  ASSERT_NO_FATAL_FAILURE(start_idle());
  EXPECT_EQ(by("exec 7</ 9</etc;", "exec " + kId + " sh -c 'ls /proc/self/fd'").out, "0\n1\n2\n3\n");
  for (int fd = 3; fd < 24; ++fd) {
    const auto result = by("exec 7</ 9</etc;", "exec --cwd /proc/self/fd/" + std::to_string(fd) + " " + kId + " ls .");
    EXPECT_EQ(result.out.find("usr"), std::string::npos) << fd;
    EXPECT_EQ(result.out.find("shadow"), std::string::npos) << fd;
  }
}

TEST_F(Boundary, TheCallersTerminalIsOutOfReach) {  // CVE-2017-5226
  if (!test::have_program("script")) {
    GTEST_SKIP() << "needs script";
  }
  config["process"]["args"] = {"sh", "-c", "if (: </dev/tty) 2>/dev/null; then echo reached; else echo out of reach; fi"};
  write();
  const auto result = test::sh("script -qec '" + test::bin("jigsaw-oci") + " --root " + bundle() + "/states run --bundle " + bundle() +
                               " " + kId + "' /dev/null </dev/null", {.timeout = std::chrono::seconds(30)});
  EXPECT_NE(result.out.find("out of reach"), std::string::npos) << result.out;
}

TEST_F(Boundary, StateIsForNobodyElse) {  // CVE-2021-41103, CVE-2020-15257
  const std::string sockets = "grep -c ' @.*jigsaw' /proc/net/unix";
  config["process"]["args"] = {"sleep", "60"};
  write();
  ASSERT_EQ(test::sh("umask 0; " + test::bin("jigsaw-oci") + " --root " + bundle() + "/states create --bundle " + bundle() + " " + kId +
                     " </dev/null >/dev/null 2>&1").code, 0);
  const auto mode = [&](const std::string& name) {
    struct stat status {};
    EXPECT_EQ(::lstat((bundle() + "/states" + name).c_str(), &status), 0) << name;
    return status.st_mode & 07777U;
  };
  EXPECT_EQ(mode(""), 0700U);
  for (const std::string& name : files::list(bundle() + "/states")) {
    EXPECT_EQ(mode("/" + name) & 0077U, 0U) << name;
  }
  EXPECT_EQ(files::list(bundle() + "/states").size(), 2U) << "the state and the start gate";
  EXPECT_EQ(test::sh(sockets).out, "0\n");
}

TEST_F(Boundary, AProcessThatGotTheNumberOfADeadOneIsLeftAlone) {
  ASSERT_NO_FATAL_FAILURE(start_idle());
  const std::string file = bundle() + "/states/" + kId;
  auto state = nlohmann::json::parse(files::read(file));
  ASSERT_EQ(oci({"kill", kId, "KILL"}).code, 0);
  state["pid"] = ::getpid();  // with the start time of the other one
  std::ofstream(file) << state.dump();  // the same file: what stands beside it goes by its inode
  EXPECT_NE(oci({"kill", kId, "KILL"}).code, 0);
  EXPECT_NE(oci({"exec", kId, "true"}).code, 0);
  EXPECT_NE(oci({"state", kId}).out.find("\"stopped\""), std::string::npos);
  EXPECT_EQ(oci({"delete", kId}).code, 0);
}

TEST_F(Boundary, LongListsAndPathsDoNotOverflowAnything) {  // CVE-2021-43784
  config["process"]["args"] = {"true"};
  const nlohmann::json before = config;
  const auto refused = [&](const char* what) {
    const auto result = run();
    EXPECT_GT(result.code, 0) << what;
    EXPECT_LT(result.code, 128) << what;
    config = before;
  };
  for (auto& each : config["linux"]["namespaces"]) {
    each["path"] = "/" + std::string(70'000, 'x');
  }
  refused("namespace paths");
  config["linux"]["namespaces"].push_back({{"type", "user"}});
  for (int i = 0; i < 20'000; ++i) {
    config["linux"]["uidMappings"].push_back({{"containerID", i}, {"hostID", 100'000 + 2 * i}, {"size", 1}});
  }
  config["linux"]["gidMappings"] = config["linux"]["uidMappings"];
  refused("id maps");
  config["mounts"].push_back({{"destination", "/" + std::string(70'000, 'x')}, {"type", "tmpfs"}, {"source", "tmpfs"}});
  refused("a destination");
  config["mounts"].push_back({{"destination", "/tmp"}, {"type", "tmpfs"}, {"source", "tmpfs"}, {"options", {"size=" + std::string(9'000, '9')}}});
  refused("mount options");
  config["linux"]["cgroupsPath"] = "/" + std::string(5'000, 'x');
  refused("a cgroup");
  config["process"]["args"] = {"true", std::string(3'000'000, 'x')};
  refused("an argument");
  config["hostname"] = std::string(5'000, 'x');
  refused("a host name");
}

TEST_F(Boundary, HooksThatDoNotReadOrDoNotEndDisturbNobody) {
  config["annotations"] = {{"large", std::string(2'000'000, 'x')}};
  config["process"]["args"] = {"true"};
  config["hooks"]["createRuntime"] = {{{"path", "/bin/true"}}, {{"path", "/bin/sh"}, {"args", {"sh", "-c", "exec <&- >&- 2>&-; exit 0"}}}};
  EXPECT_EQ(run().code, 0);
  config["hooks"]["createRuntime"] = {
      {{"path", "/bin/sh"}, {"args", {"sh", "-c", "trap '' TERM; sleep 98765 & sleep 98765"}}, {"timeout", 1}}};
  EXPECT_NE(run().code, 0);
  EXPECT_EQ(test::sh("pgrep -fx 'sleep 98765'").out, "");
  config["hooks"] = {{"startContainer", {{{"path", "/bin/sh"}, {"args", {"sh", "-c", "exit 3"}}}}}};
  EXPECT_NE(run().code, 0);
}

TEST_F(Boundary, UsersOfAddedProgramsAreNumbersAndNothingElse) {  // CVE-2026-30892
  ASSERT_NO_FATAL_FAILURE(start_idle());
  for (const char* user : {"4294967295", "4294967296", "-1", "1:2:3", "1:", ":1", "0x0", " 0", "0 ", "root", "1:-1", "+1", "1e3",
                           "18446744073709551616"}) {
    EXPECT_NE(oci({"exec", "--user", user, kId, "id"}).code, 0) << user;
  }
  EXPECT_EQ(oci({"exec", "--user", "1:2", kId, "sh", "-c", "id -u; id -g"}).out, "1\n2\n");
}

TEST_F(Boundary, CgroupsOfAddedProgramsStayBelowTheContainers) {
  ASSERT_NO_FATAL_FAILURE(start_idle());
  for (const char* path : {"..", "../..", "a/../../b", "/../x", "../" }) {
    EXPECT_NE(oci({"exec", "--cgroup", path, kId, "true"}).code, 0) << path;
  }
}

TEST_F(Boundary, AnnotationsNameNoPlacesOfTheHost) {
  config["process"]["args"] = {"true"};
  const std::string file = bundle() + "/made";
  for (const char* key : {"run.oci.hooks.stdout", "run.oci.hooks.stderr", "run.oci.systemd.subgroup", "run.oci.delegate-cgroup",
                          "run.oci.handler", "run.oci.mount_context_type", "org.criu.config", "run.oci.pidfd_receiver"}) {
    config["annotations"] = {{key, "../../../../.." + file}};
    config["hooks"]["prestart"] = {{{"path", "/bin/echo"}, {"args", {"echo", "x"}}}};
    run();
    EXPECT_FALSE(std::filesystem::exists(file)) << key;
  }
}

}  // namespace
}  // namespace jigsaw::runtime
