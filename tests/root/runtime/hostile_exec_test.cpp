// Programs that are added to a container which waits for them: what its processes see of them, and what they lay in their way.
#include <signal.h>

#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Added : public Bundle {
 protected:
  void capabilities(const std::vector<std::string>& names) {
    for (const char* set : {"bounding", "effective", "permitted"}) {
      config["process"]["capabilities"][set] = names;
    }
  }
  void applets(std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      ::symlink("busybox", root(std::string("bin/") + name).c_str());
    }
  }
  // Runs `text` as the container's first process, in the background, until a file /ready is there.
  void start(const std::string& text) {
    config["root"]["readonly"] = false;
    config["process"]["noNewPrivileges"] = false;
    script(text);
    write();
    ASSERT_EQ(oci_detached("run --detach --bundle " + bundle() + " " + kId), 0);
    for (int i = 0; i < 250 && !files::exists(root("ready")); ++i) {
      ::usleep(20'000);
    }
    ASSERT_TRUE(files::exists(root("ready")));
  }
  int pid() const { return nlohmann::json::parse(oci({"state", kId}).out)["pid"]; }
};

TEST_F(Added, TheyAreNeverSeenWithTheHostsRootOrDescriptors) {  // CVE-2016-9962, and whoever may look at everything
  capabilities({"CAP_SYS_PTRACE", "CAP_KILL"});
  files::replace(bundle() + "/mark", "");
  start(": > /ready; while :; do for p in /proc/[0-9]*; do [ -e $p/root" + bundle() + "/mark ] && echo $p/root >> /found; "
        "[ -e $p/cwd" + bundle() + "/mark ] && echo $p/cwd >> /found; for f in $p/fd/*; do [ -e $f/cgroup.procs ] && echo $f >> /found; done; "
        "done; done 2>/dev/null");
  for (int i = 0; i < 25; ++i) {
    EXPECT_EQ(oci({"exec", "--cwd", "/", kId, "true"}).code, 0);
  }
  EXPECT_EQ(files::read_if_exists(root("found")).value_or(""), "");
}

TEST_F(Added, WhatStandsInThePlaceOfTheTerminalsIsNotOpened) {
  if (!test::have_program("script")) {
    GTEST_SKIP() << "needs script";
  }
  capabilities({"CAP_SYS_ADMIN", "CAP_MKNOD"});
  applets({"umount", "mkfifo", "ln", "rm"});
  files::replace(root("secret"), "untouched");
  start("umount -l /dev/pts; mount -t tmpfs other /dev/pts; ln -s /secret /dev/pts/ptmx; rm -f /dev/ptmx; mkfifo /dev/ptmx; : > /ready; exec sleep 60");
  const std::string exec = "script -qec '" + test::bin("jigsaw-oci") + " --root " + bundle() + "/states exec --tty --user 5:5 " + kId +
                           " tty' /dev/null </dev/null";
  const auto result = test::sh(exec, {.timeout = std::chrono::seconds(30)});
  EXPECT_NE(result.out.find("is not the device that makes terminals"), std::string::npos) << result.out << result.err;
  struct stat status {};
  ASSERT_EQ(::stat(root("secret").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0U);
  EXPECT_EQ(files::read(root("secret")), "untouched");
}

TEST_F(Added, ProgramsThatWereSwappedAreJustPrograms) {  // CVE-2019-5736
  const std::string before = files::read(test::bin("jigsaw-oci"), 1U << 30);
  start(": > /ready; exec sleep 60");
  const auto put = [&](const std::string& name, const std::string& text) { files::replace(root(name), text, {.mode = 0755}); };
  put("bin/one", "#!/proc/self/exe\n");
  put("bin/two", "#!/proc/self/fd/3\n");
  put("bin/three", "#!/bin/three\n");
  ::symlink("/proc/self/exe", root("bin/four").c_str());
  ::symlink("five", root("bin/five").c_str());
  ASSERT_EQ(::mkfifo(root("bin/six").c_str(), 0777), 0);
  put("bin/seven", "");
  for (const char* name : {"one", "two", "three", "four", "five", "six", "seven"}) {
    const auto result = oci({"exec", kId, name});
    EXPECT_GT(result.code, 0) << name;
    EXPECT_LT(result.code, 128) << name;
  }
  EXPECT_EQ(files::read(test::bin("jigsaw-oci"), 1U << 30), before);
}

TEST_F(Added, NamespacesThatTheFirstProcessMadeForItselfAreEnteredAndLeadNoFurther) {
  applets({"unshare"});
  capabilities({"CAP_SYS_ADMIN"});
  std::filesystem::create_directory(root("tmp"));
  start("exec unshare -m sh -c 'mount -t tmpfs inner /tmp && : > /tmp/inner && mount -t tmpfs other /proc && : > /ready; sleep 60'");
  const auto result = oci({"exec", kId, "sh", "-c", "ls /tmp /proc; ls / | grep usr"});
  EXPECT_EQ(result.out, "/proc:\n\n/tmp:\ninner\n") << result.err;
}

TEST_F(Added, AUserNamespaceWithoutIdsTakesNobody) {
  applets({"unshare"});
  capabilities({});
  start("exec unshare -U sh -c ': > /ready; sleep 60'");
  const auto result = oci({"exec", kId, "id"});
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.code, 125) << result.err;
}

TEST_F(Added, NothingIsAddedToAContainerThatEnded) {
  start(": > /ready; exec sleep 60");
  const int first = pid();
  ASSERT_EQ(oci({"pause", kId}).code, 0);
  EXPECT_NE(oci({"exec", kId, "true"}).err.find("is paused"), std::string::npos);
  const std::string program = test::bin("jigsaw-oci") + " --root " + bundle() + "/states ";
  const auto waited = test::sh("( sleep 0.4; echo resumed; " + program + "resume " + kId + " ) & " + program + "exec --ignore-paused " + kId +
                               " echo added; wait", {.timeout = std::chrono::seconds(20)});
  EXPECT_EQ(waited.out, "resumed\nadded\n") << waited.err;
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  for (int i = 0; i < 100 && oci({"state", kId}).out.find("\"stopped\"") == std::string::npos; ++i) {
    ::usleep(20'000);
  }
  EXPECT_NE(oci({"exec", kId, "true"}).err.find("is not running"), std::string::npos);  // nobody has reaped it, perhaps
}

TEST_F(Added, ProcessFilesAreReadAsStrictlyAsConfigurations) {
  start(": > /ready; exec sleep 60");
  const std::string file = bundle() + "/process.json";
  const std::string args = "\"args\":[\"true\"],\"cwd\":\"/\"";
  for (const std::string& text :
       {std::string(), std::string("null"), std::string("[]"), std::string("{}"), std::string(200'000, '['), "{" + args + ",\"user\":{\"uid\":-1}}",
        "{" + args + ",\"user\":{\"uid\":4294967295}}", "{" + args + ",\"user\":{\"uid\":\"0\"}}", "{" + args + ",\"env\":[\"A=b\\u0000c\"]}",
        "{" + args + ",\"env\":[\"=x\"]}", "{" + args + ",\"oomScoreAdj\":100000}", "{" + args + ",\"cwd\":\"/\"}", std::string("{\"args\":[]}"),
        std::string("{\"args\":[\"true\"],\"cwd\":\"tmp\"}"), std::string("{\"args\":[\"true\\u0000x\"],\"cwd\":\"/\"}"),
        "{" + args + ",\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":2,\"hard\":1}]}",
        "{" + args + ",\"scheduler\":{\"policy\":\"SCHED_NOSUCH\"}}", "{" + args + ",\"execCPUAffinity\":{\"initial\":\"0-\"}}"}) {
    files::replace(file, text);
    const auto result = oci({"exec", "--process", file, kId});
    EXPECT_GT(result.code, 0) << text.substr(0, 80);
    EXPECT_LT(result.code, 128) << text.substr(0, 80);
    EXPECT_NE(result.err, "") << text.substr(0, 80);
  }
  files::replace(file, "{" + args + "}");
  EXPECT_EQ(oci({"exec", "--process", file, kId}).code, 0);
}

}  // namespace
}  // namespace jigsaw::runtime
