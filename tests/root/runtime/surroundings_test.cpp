// What a container shares with its caller, and what the kernel can't give it.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Surrounded : public Bundle {
 protected:
  void leave_out_namespace(const std::string& type) {
    auto& list = config["linux"]["namespaces"];
    for (size_t i = 0; i < list.size(); ++i) {
      if (list[i]["type"] == type) {
        list.erase(i);
        return;
      }
    }
  }
};

TEST_F(Surrounded, WithoutAMountNamespaceItIsChrootedAndTheHostsMountsStay) {
  leave_out_namespace("mount");
  config["root"]["readonly"] = false;
  script("ls /; [ -e /proc/self ] || echo no proc");
  const std::string before = test::host_snapshot().mounts;
  const auto result = run();
  EXPECT_NE(result.out.find("bin\n"), std::string::npos) << result.err;
  EXPECT_EQ(result.out.find("usr"), std::string::npos);
  EXPECT_NE(result.out.find("no proc"), std::string::npos);
  EXPECT_NE(result.err.find("are left out"), std::string::npos);
  EXPECT_EQ(test::host_snapshot().mounts, before);
  config["root"]["readonly"] = true;
  EXPECT_NE(run().err.find("needs a mount namespace"), std::string::npos);
}

TEST_F(Surrounded, ExecDoesNotLeadToTheHostsRootWhereMountsAreShared) {
  config["root"]["readonly"] = false;
  auto& list = config["linux"]["namespaces"];
  for (auto& each : list) {
    if (each["type"] == "mount") {
      each["path"] = "/proc/self/ns/mnt";
    }
  }
  ASSERT_NO_FATAL_FAILURE(start_idle());
  const auto result = oci({"exec", kId, "ls", "/"});
  EXPECT_NE(result.out.find("bin\n"), std::string::npos) << result.err;
  EXPECT_EQ(result.out.find("usr"), std::string::npos);
}

TEST_F(Surrounded, LabelsOfModulesThatDoNotRunAreSaid) {
  if (std::filesystem::exists("/sys/fs/selinux/enforce") ||
      files::read_if_exists("/sys/module/apparmor/parameters/enabled").value_or("N").starts_with('Y')) {
    GTEST_SKIP() << "a security module runs";
  }
  config["process"]["args"] = {"true"};
  config["process"]["apparmorProfile"] = "nosuch";
  config["linux"]["mountLabel"] = "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811";
  const auto result = run();
  EXPECT_EQ(result.code, 0);
  EXPECT_NE(result.err.find("AppArmor profile nosuch is left out"), std::string::npos);
  EXPECT_NE(result.err.find("mountLabel"), std::string::npos);
  config["process"]["selinuxLabel"] = "system_u:system_r:svirt_lxc_net_t:s0";
  EXPECT_NE(run().err.find("runs without SELinux"), std::string::npos);
}

TEST_F(Surrounded, HooksAreToldHowFarTheContainerIs) {
  const auto hook = [&](const char* name) {
    return nlohmann::json{{{"path", "/bin/sh"}, {"args", {"sh", "-c", "cat > " + bundle() + "/" + name}}}};
  };
  for (const char* name : {"prestart", "createRuntime", "createContainer", "poststart", "poststop"}) {
    config["hooks"][name] = hook(name);
  }
  config["process"]["args"] = {"true"};
  ASSERT_EQ(run().code, 0);
  const auto status = [&](const char* name) { return nlohmann::json::parse(files::read(bundle() + "/" + name))["status"]; };
  EXPECT_EQ(status("prestart"), "created");
  EXPECT_EQ(status("createRuntime"), "creating");
  EXPECT_EQ(status("createContainer"), "creating");
  EXPECT_EQ(status("poststart"), "running");
  EXPECT_EQ(status("poststop"), "stopped");
}

TEST_F(Surrounded, HooksStandInTheBundleAndSeeTheMountsOfTheRoot) {
  config["hooks"]["createContainer"] = {{{"path", "/bin/sh"}, {"args", {"sh", "-c", "test -e rootfs/proc/self && pwd > where"}}}};
  config["process"]["args"] = {"true"};
  EXPECT_EQ(run().code, 0);
  EXPECT_EQ(files::read(bundle() + "/where"), bundle() + "\n");
}

TEST_F(Surrounded, AHookHasOurEnvironmentUnlessItBringsOneAndNeverInsideTheContainer) {
  files::replace(root("hook"), "#!/bin/sh\n[ -z \"$JIGSAW_TEST_MARK\" ]\n", {.mode = 0755});
  config["hooks"]["prestart"] = {{{"path", "/bin/sh"}, {"args", {"sh", "-c", "[ \"$JIGSAW_TEST_MARK\" = 1 ]"}}}};
  config["hooks"]["createRuntime"] = {
      {{"path", "/bin/sh"}, {"args", {"sh", "-c", "[ -z \"$JIGSAW_TEST_MARK\" ]"}}, {"env", nlohmann::json::array()}}};
  config["hooks"]["startContainer"] = {{{"path", "/hook"}}};
  config["process"]["args"] = {"true"};
  write();
  ::setenv("JIGSAW_TEST_MARK", "1", 1);
  const auto result = oci({"run", "--bundle", bundle(), kId});
  ::unsetenv("JIGSAW_TEST_MARK");
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(Surrounded, APoststartHookThatFailsEndsTheContainer) {
  config["hooks"]["poststart"] = {{{"path", "/bin/false"}}};
  config["process"]["args"] = {"sleep", "60"};
  write();
  ASSERT_EQ(oci_detached("create --bundle " + bundle() + " " + kId), 0);
  EXPECT_NE(oci({"start", kId}).err.find("poststart hook /bin/false failed"), std::string::npos);
  EXPECT_NE(oci({"state", kId}).code, 0);
  EXPECT_NE(run().code, 0);
  EXPECT_NE(oci({"state", kId}).code, 0);
}

TEST_F(Surrounded, AProcessThatWasFrozenElsewhereIsDeletedByForce) {
  const std::string frozen = "/sys/fs/cgroup/freezer/jigsaw-frozen";
  if (!std::filesystem::exists("/sys/fs/cgroup/freezer")) {
    GTEST_SKIP() << "needs the freezer of cgroup v1";
  }
  ASSERT_NO_FATAL_FAILURE(start_idle());
  const auto pid = nlohmann::json::parse(oci({"state", kId}).out)["pid"].get<int>();
  test::sh("mkdir -p " + frozen + " && echo " + std::to_string(pid) + " > " + frozen + "/tasks && echo FROZEN > " + frozen + "/freezer.state");
  EXPECT_EQ(oci({"delete", "--force", kId}).code, 0);
  EXPECT_EQ(test::sh("rmdir " + frozen).code, 0);
}

TEST_F(Surrounded, ExecReplacesVariablesOfTheContainer) {
  config["process"]["env"] = {"PATH=/bin", "COLOUR=red"};
  ASSERT_NO_FATAL_FAILURE(start_idle());
  EXPECT_EQ(oci({"exec", "--env", "COLOUR=blue", kId, "sh", "-c", "echo $PATH $COLOUR"}).out, "/bin blue\n");
}

TEST_F(Surrounded, AUserNamespaceIsJoinedTogetherWithNewNamespaces) {
  const auto maps = nlohmann::json{{{"containerID", 0}, {"hostID", 100000}, {"size", 1000}}};
  test::sh("chmod 711 " + bundle() + "; chown -R 100000 " + root(""));
  config["linux"]["namespaces"].push_back({{"type", "user"}});
  config["linux"]["uidMappings"] = maps;
  config["linux"]["gidMappings"] = maps;
  ASSERT_NO_FATAL_FAILURE(start_idle());
  const std::string ns = "/proc/" + std::to_string(nlohmann::json::parse(oci({"state", kId}).out)["pid"].get<int>()) + "/ns/";
  config["linux"].erase("uidMappings");
  config["linux"].erase("gidMappings");
  for (auto& each : config["linux"]["namespaces"]) {
    if (each["type"] == "user" || each["type"] == "pid" || each["type"] == "ipc") {
      each["path"] = ns + each["type"].get<std::string>();
    }
  }
  ::symlink("busybox", root("bin/grep").c_str());
  script("readlink /proc/1/ns/user; readlink /proc/self/ns/user; readlink /proc/self/ns/ipc; grep -c sleep /proc/1/cmdline");
  write();
  const auto result = oci({"run", "--bundle", bundle(), kId + "-second"});
  const std::string user = std::filesystem::read_symlink(ns + "user").string();
  EXPECT_EQ(result.out, user + "\n" + user + "\n" + std::filesystem::read_symlink(ns + "ipc").string() + "\n1\n") << result.err;
}

TEST_F(Surrounded, InAUserNamespaceMountsComeFromPlacesThatAreClosedInsideAndMayBeIdMapped) {
  const std::string closed = bundle() + "/closed";  // as Kubernetes keeps its volumes
  files::make_directories(closed + "/volume", 0755);
  files::replace(closed + "/volume/file", "found\n", {.mode = 0644});
  ASSERT_EQ(::chmod(closed.c_str(), 0700), 0);
  ASSERT_EQ(::chown((closed + "/volume/file").c_str(), 7, 8), 0);
  test::sh("chmod 711 " + bundle() + "; chown -R 100000:100000 " + root("") + "; chown 1234 " + closed);
  const auto maps = nlohmann::json{{{"containerID", 0}, {"hostID", 100000}, {"size", 1000}}};
  config["linux"]["namespaces"].push_back({{"type", "user"}});
  config["linux"]["uidMappings"] = config["linux"]["gidMappings"] = maps;
  ::symlink("busybox", root("bin/stat").c_str());
  const auto mount = [&](const char* destination, std::vector<std::string> options) {
    config["mounts"].push_back({{"destination", destination}, {"type", "bind"}, {"source", closed + "/volume"}, {"options", std::move(options)}});
  };
  mount("/plain", {"rbind", "ro"});
  mount("/own", {"bind", "idmap"});
  mount("/given", {"bind", "rprivate"});
  config["mounts"].back()["uidMappings"] = config["mounts"].back()["gidMappings"] =
      nlohmann::json{{{"containerID", 0}, {"hostID", 100500}, {"size", 100}}};
  config["root"]["readonly"] = false;
  script("cat /plain/file; stat -c %u:%g /plain/file /own/file /given/file; touch /plain/x 2>/dev/null || echo read-only; grep -c shared: /proc/self/mountinfo");
  ::symlink("busybox", root("bin/grep").c_str());
  const auto result = run();
  if (result.err.find("Invalid argument") != std::string::npos) {
    GTEST_SKIP() << "this file system can't be id-mapped";
  }
  EXPECT_EQ(result.out, "found\n65534:65534\n7:8\n507:508\nread-only\n0\n") << result.err;
}

TEST_F(Surrounded, AUserNamespaceWithoutMappingsHasThoseOfTheHost) {
  config["linux"]["namespaces"].push_back({{"type", "user"}});
  script("id -u; cat /proc/self/uid_map");
  EXPECT_EQ(run().out, "0\n         0          0      65536\n");
  config["linux"]["uidMappings"] = {{{"containerID", 0}, {"hostID", 100000}, {"size", 1000}}};
  EXPECT_NE(run().err.find("belong together"), std::string::npos);
}

TEST_F(Surrounded, AMountOnTheRootIsTheRoot) {
  auto& mounts = config["mounts"];
  const nlohmann::json first = {{"destination", "/"}, {"type", "tmpfs"}, {"source", "tmpfs"}};
  const nlohmann::json second = {{"destination", "/"}, {"type", "bind"}, {"source", bundle() + "/other"}, {"options", {"bind"}}};
  mounts.insert(mounts.begin(), second);
  mounts.insert(mounts.begin(), first);
  std::filesystem::create_directory(root("beneath"));
  ASSERT_EQ(test::sh("cp -a " + root("") + " " + bundle() + "/other").code, 0);
  script("ls -d /beneath /proc/self; touch /x 2>/dev/null || echo read-only; cd /..; ls -d beneath; ls usr 2>/dev/null");
  const auto result = run();
  EXPECT_EQ(result.out, "/beneath\n/proc/self\nread-only\nbeneath\n") << result.err;
}

TEST_F(Surrounded, UnknownSystemCallsAreRefusedIfThatIsAskedFor) {
  config["linux"]["seccomp"] = {{"defaultAction", "SCMP_ACT_ALLOW"},
                                {"syscalls", {{{"names", {"nosuchcall"}}, {"action", "SCMP_ACT_ERRNO"}}}}};
  config["process"]["args"] = {"true"};
  EXPECT_EQ(run().code, 0);
  config["annotations"] = {{"run.oci.seccomp_fail_unknown_syscall", "1"}};
  EXPECT_NE(run().err.find("unknown system call \"nosuchcall\""), std::string::npos);
}

TEST_F(Surrounded, HooksOfAContainerInAnothersPidNamespaceStayInOurs) {
  ASSERT_NO_FATAL_FAILURE(start_idle());
  const int pid = nlohmann::json::parse(oci({"state", kId}).out)["pid"];
  for (auto& each : config["linux"]["namespaces"]) {
    if (each["type"] == "pid") {
      each["path"] = "/proc/" + std::to_string(pid) + "/ns/pid";
    }
  }
  config["hooks"]["createRuntime"] = {{{"path", "/bin/sh"}, {"args", {"sh", "-c", "readlink /proc/self/ns/pid > where"}}}};
  config["process"]["args"] = {"true"};
  write();
  EXPECT_EQ(oci({"run", "--bundle", bundle(), kId + "-second"}).code, 0);
  EXPECT_EQ(files::read(bundle() + "/where"), std::filesystem::read_symlink("/proc/self/ns/pid").string() + "\n");
}

TEST_F(Surrounded, AReadOnlyTmpfsIsFilledFirstAndLooksLikeWhatItCovers) {
  for (auto& each : config["mounts"]) {
    if (each["destination"] == "/dev") {
      each["options"].push_back("ro");
    }
  }
  config["mounts"].push_back({{"destination", "/narrow"}, {"type", "tmpfs"}, {"source", "tmpfs"}});
  std::filesystem::create_directory(root("narrow"));
  ASSERT_EQ(::chmod(root("narrow").c_str(), 0710), 0);
  script("ls -d /dev/null /dev/pts/ptmx; touch /dev/x 2>/dev/null || echo read-only; ls -ld /narrow");
  const auto result = run();
  EXPECT_EQ(result.out.substr(0, 43), "/dev/null\n/dev/pts/ptmx\nread-only\ndrwx--x--") << result.err;
}

TEST_F(Surrounded, ANetworkDeviceOfTheHostMovesInWithItsAddresses) {
  const std::string name = "jg" + std::to_string(::getpid() % 100'000);
  if (test::sh("ip link add " + name + " type veth peer name " + name + "p && ip addr add 10.99.7.3/24 dev " + name).code != 0) {
    GTEST_SKIP() << "needs ip and veth devices";
  }
  for (const char* applet : {"ip", "grep"}) {
    ::symlink("busybox", root(std::string("bin/") + applet).c_str());
  }
  config["linux"]["netDevices"] = {{name, {{"name", "inside0"}}}};
  script("ip addr show dev inside0 | grep -o 'inet 10[^ ]*'; ip link show inside0 | grep -o ,UP | head -n 1");
  ::symlink("busybox", root("bin/head").c_str());
  const auto result = run();
  EXPECT_EQ(result.out, "inet 10.99.7.3/24\n,UP\n") << result.err;
  EXPECT_NE(test::sh("ip link show " + name).code, 0);
  EXPECT_NE(run().err.find("network device " + name), std::string::npos);
}

TEST_F(Surrounded, WhatAServiceManagerGivesIsHandedOn) {
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  std::strcpy(where.sun_path, (bundle() + "/notify").c_str());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  config["root"]["readonly"] = false;
  script("echo $LISTEN_FDS $LISTEN_PID $NOTIFY_SOCKET; read line <&3; echo $line; [ -S $NOTIFY_SOCKET ] && echo socket");
  write();
  const auto result = test::sh("echo hello | ( exec 3<&0; LISTEN_FDS=1 NOTIFY_SOCKET=" + bundle() + "/notify exec " + test::bin("jigsaw-oci") +
                               " --root " + bundle() + "/states run --bundle " + bundle() + " " + kId + " )");
  EXPECT_EQ(result.out, "1 1 /run/notify/notify.sock\nhello\nsocket\n") << result.err;
}

}  // namespace
}  // namespace jigsaw::runtime
