// A container in the pid namespace of another, whose processes are neighbours from its birth on.
#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Neighbour : public Bundle {
 protected:
  // A first container that runs `text`, until a file /ready is there.
  void start_first(const std::string& text) {
    config["root"]["readonly"] = false;
    config["process"]["noNewPrivileges"] = false;
    for (const char* set : {"bounding", "effective", "permitted"}) {
      config["process"]["capabilities"][set] = {"CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"};
    }
    script(text);
    write();
    ASSERT_EQ(oci_detached("run --detach --bundle " + bundle() + " " + kId), 0);
    for (int i = 0; i < 250 && !files::exists(root("ready")); ++i) {
      ::usleep(20'000);
    }
    ASSERT_TRUE(files::exists(root("ready")));
  }
  // From here on config.json is that of a second one beside it.
  void move_in() {
    for (auto& each : config["linux"]["namespaces"]) {
      if (each["type"] == "pid") {
        each["path"] = "/proc/" + std::to_string(pid(kId)) + "/ns/pid";
      }
    }
  }
  void filter(const std::string& call) {
    config["linux"]["seccomp"] = {{"defaultAction", "SCMP_ACT_ALLOW"}, {"syscalls", {{{"names", {call}}, {"action", "SCMP_ACT_ERRNO"}}}}};
    write();
  }
  int pid(const std::string& id) const { return nlohmann::json::parse(oci({"state", id}).out)["pid"]; }
  static std::string second() { return kId + "-second"; }
  test::Result run_second() const {
    write();
    return oci({"run", "--bundle", bundle(), second()});
  }
};

TEST_F(Neighbour, ItIsNeverSeenWithTheHostsRootOrDescriptors) {
  files::replace(bundle() + "/mark", "");
  start_first(": > /ready; while :; do for p in /proc/[0-9]*; do [ -e $p/root" + bundle() + "/mark ] && echo $p/root >> /found; "
              "[ -e $p/cwd" + bundle() + "/mark ] && echo $p/cwd >> /found; for f in $p/fd/*; do [ -e $f/cgroup.procs ] && echo $f >> /found; "
              "[ -e $f" + bundle() + "/mark ] && echo $f >> /found; done; done; done 2>/dev/null");
  move_in();
  config["process"]["args"] = {"true"};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(run_second().code, 0);
  }
  EXPECT_EQ(files::read_if_exists(root("found")).value_or(""), "");
}

TEST_F(Neighbour, ItSeesTheOthersInItsProcAndHasNoMoreRightsThanItsProgram) {
  start_first(": > /ready; exec sleep 60");
  move_in();
  for (const char* name : {"grep", "setsid"}) {
    ::symlink("busybox", root(std::string("bin/") + name).c_str());
  }
  config["process"]["user"] = {{"uid", 7}, {"gid", 8}};
  config["process"]["capabilities"] = nlohmann::json::object();
  script("cat /proc/1/comm; id -u; id -g; [ $$ -gt 1 ] && echo not the first; grep CapEff /proc/self/status");
  const auto result = run_second();
  EXPECT_EQ(result.out, "sleep\n7\n8\nnot the first\nCapEff:\t0000000000000000\n") << result.err;
  script("sleep 60");
  filter("acct");  // to load it takes CAP_SYS_ADMIN, which is not kept while it waits
  ASSERT_EQ(oci_detached("create --bundle " + bundle() + " " + second()), 0);
  const std::string status = files::read("/proc/" + std::to_string(pid(second())) + "/status");
  EXPECT_NE(status.find("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"), std::string::npos) << status;
  EXPECT_NE(status.find("Seccomp:\t2\n"), std::string::npos) << status;
  EXPECT_NE(status.find("Uid:\t7\t7\t7\t7\n"), std::string::npos) << status;
  EXPECT_EQ(oci({"start", second()}).code, 0);
  EXPECT_NE(oci({"state", second()}).out.find("\"running\""), std::string::npos);
  EXPECT_EQ(oci({"delete", "--force", second()}).code, 0);
}

TEST_F(Neighbour, AFilterThatRefusesWhatIsStillToBeDoneIsLoadedAtLast) {
  start_first(": > /ready; exec sleep 60");
  move_in();
  script("echo started; grep Seccomp: /proc/self/status");
  ::symlink("busybox", root("bin/grep").c_str());
  for (const char* call : {"accept4", "prctl"}) {
    filter(call);
    ASSERT_EQ(test::sh(test::bin("jigsaw-oci") + " --root " + bundle() + "/states create --bundle " + bundle() + " " + second() + " </dev/null >" +
                       bundle() + "/out 2>&1").code, 0) << call;
    EXPECT_EQ(oci({"start", second()}).code, 0) << call;
    for (int i = 0; i < 250 && files::read(bundle() + "/out").find("Seccomp") == std::string::npos; ++i) {
      ::usleep(20'000);
    }
    EXPECT_EQ(files::read(bundle() + "/out"), "started\nSeccomp:\t2\n") << call;
    EXPECT_EQ(oci({"delete", "--force", second()}).code, 0);
  }
}

TEST_F(Neighbour, ItHasATerminalOfItsOwn) {
  if (!test::have_program("script")) {
    GTEST_SKIP() << "needs script";
  }
  start_first(": > /ready; exec sleep 60");
  move_in();
  config["process"]["terminal"] = true;
  script("tty; : < /dev/tty && echo controlling");
  write();
  const auto result = test::sh("script -qec '" + test::bin("jigsaw-oci") + " --root " + bundle() + "/states run --bundle " + bundle() + " " +
                               second() + "' /dev/null </dev/null", {.timeout = std::chrono::seconds(30)});
  for (const char* line : {"/dev/pts/0\r\n", "controlling\r\n"}) {  // script's end of file may be echoed between them
    EXPECT_NE(result.out.find(line), std::string::npos) << result.out << result.err;
  }
}

TEST_F(Neighbour, WhatItLacksIsSaid) {
  start_first(": > /ready; exec sleep 60");
  move_in();
  config["process"]["args"] = {"nosuch"};
  EXPECT_NE(run_second().err.find("executable file not found"), std::string::npos);
  config["process"]["args"] = {"true"};
  config["mounts"].push_back({{"destination", "/proc2"}, {"type", "proc"}, {"source", "proc"}, {"options", {"nosuch=1"}}});
  EXPECT_NE(run_second().err.find("mount proc on /proc2"), std::string::npos);
}

}  // namespace
}  // namespace jigsaw::runtime
