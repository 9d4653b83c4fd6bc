// What belongs to the host and is near at hand: its own namespaces by path, its mounts, its cgroups, files of other users.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class HostsOwn : public Bundle {
 protected:
  void join(const std::string& type, const std::string& path) {
    for (auto& each : config["linux"]["namespaces"]) {
      if (each["type"] == type) {
        each["path"] = path;
      }
    }
  }
  void leave_out_namespace(const std::string& type) {
    auto& list = config["linux"]["namespaces"];
    for (size_t i = list.size(); i-- > 0;) {
      if (list[i]["type"] == type) {
        list.erase(i);
      }
    }
  }
  // A user namespace in which our root's ids are others outside.
  void in_user_namespace() {
    const auto maps = nlohmann::json{{{"containerID", 0}, {"hostID", 100000}, {"size", 1000}}};
    config["linux"]["namespaces"].push_back({{"type", "user"}});
    config["linux"]["uidMappings"] = maps;
    config["linux"]["gidMappings"] = maps;
    test::sh("chmod 711 " + bundle() + "; chown -R 100000:100000 " + root(""));
  }
};

TEST_F(HostsOwn, SettingsInNamespacesByPathThatAreTheHostsAreRefused) {
  config["process"]["args"] = {"true"};
  const std::string file = "/proc/sys/net/ipv4/tcp_fin_timeout";
  const std::string before = files::read(file) + files::read("/proc/sys/kernel/hostname") + files::read("/proc/sys/kernel/domainname");
  const nlohmann::json plain = config;
  const std::string bound = bundle() + "/bound";
  files::replace(bound, "");
  ASSERT_EQ(test::sh("mount -o bind /proc/self/ns/net " + bound).code, 0);
  for (const std::string& path : {std::string("/proc/self/ns/net"), std::string("/proc/thread-self/ns/net"), bound}) {
    config["linux"]["sysctl"] = {{"net.ipv4.tcp_fin_timeout", "77"}};
    join("network", path);
    EXPECT_NE(run().err.find("is the host's"), std::string::npos) << path;
    config["linux"]["sysctl"] = {{"net/ipv4/tcp_fin_timeout", "77"}};
    EXPECT_NE(run().err.find("is the host's"), std::string::npos) << path;
    config = plain;
  }
  EXPECT_EQ(test::sh("umount " + bound).code, 0);
  join("uts", "/proc/self/ns/uts");
  config["hostname"] = "evil";
  EXPECT_NE(run().err.find("is the host's"), std::string::npos);
  config.erase("hostname");
  config["domainname"] = "evil";
  EXPECT_NE(run().err.find("is the host's"), std::string::npos);
  config.erase("domainname");
  EXPECT_EQ(run().code, 0);  // to be in it is allowed
  config = plain;
  join("ipc", "/proc/self/ns/ipc");
  config["linux"]["sysctl"] = {{"kernel.msgmax", "77"}};
  EXPECT_NE(run().err.find("is the host's"), std::string::npos);
  EXPECT_EQ(files::read(file) + files::read("/proc/sys/kernel/hostname") + files::read("/proc/sys/kernel/domainname"), before);
}

TEST_F(HostsOwn, ARootThatIsALinkInTheBundleIsRefused) {
  config["process"]["args"] = {"ls", "/"};
  for (const char* target : {"/", "/etc", "rootfs"}) {
    std::filesystem::remove(bundle() + "/link");
    ::symlink(target, (bundle() + "/link").c_str());
    for (const char* path : {"link", "link/", "link/.", "./link", "link/bin/.."}) {
      config["root"]["path"] = path;
      const auto result = run();
      EXPECT_NE(result.err.find("is a symbolic link"), std::string::npos) << path << " -> " << target;
      EXPECT_EQ(result.out, "") << path << " -> " << target;
    }
  }
}

TEST_F(HostsOwn, ARootThatBecomesALinkAfterItWasLookedAtIsNotFollowed) {
  config["process"]["args"] = {"/bin/true"};
  write();
  const std::string alternative = bundle() + "/alternative";
  const std::string etc = "/etc";
  ASSERT_EQ(::symlink(etc.c_str(), alternative.c_str()), 0);
  std::atomic<bool> done = false;
  std::thread swapping([&] {
    while (!done) {
      ::renameat2(AT_FDCWD, (bundle() + "/rootfs").c_str(), AT_FDCWD, alternative.c_str(), RENAME_EXCHANGE);
    }
  });
  int started = 0;
  for (int i = 0; i < 30; ++i) {
    const auto result = oci({"run", "--bundle", bundle(), kId});
    started += result.code == 0 ? 1 : 0;
    EXPECT_TRUE(result.code == 0 || result.err.find("root.path") != std::string::npos) << result.err;  // not: /etc has no such program
  }
  done = true;
  swapping.join();
  if (std::filesystem::is_symlink(bundle() + "/rootfs")) {
    ::renameat2(AT_FDCWD, (bundle() + "/rootfs").c_str(), AT_FDCWD, alternative.c_str(), RENAME_EXCHANGE);
  }
  EXPECT_GT(started, 0);
}

TEST_F(HostsOwn, ItsProcIsNotLeftBeneathARootThatWasMoved) {  // a procfs with nothing hidden allows to mount another one
  config["root"]["readonly"] = false;
  for (const char* set : {"bounding", "effective", "permitted"}) {
    config["process"]["capabilities"][set] = {"CAP_SETFCAP", "CAP_SETUID", "CAP_SETGID"};
  }
  for (const char* name : {"unshare", "wc"}) {
    ::symlink("busybox", root(std::string("bin/") + name).c_str());
  }
  std::filesystem::create_directory(root("mnt"));
  script("unshare -rmpf sh -c 'mount -t proc proc /mnt && echo mounted; mount -t sysfs sysfs /mnt && echo mounted'; echo done; ls /");
  write();
  const std::string before = test::host_snapshot().mounts;
  for (const char* how : {"--no-pivot", "--no-new-keyring"}) {
    const auto result = oci({"run", how, "--bundle", bundle(), kId});
    EXPECT_EQ(result.out.substr(0, 9), "done\nbin\n") << how << result.err;
    EXPECT_EQ(result.out.find("usr"), std::string::npos) << how;
  }
  EXPECT_EQ(test::host_snapshot().mounts, before);
}

TEST_F(HostsOwn, ItsSysfsInAUserNamespaceIsReadOnlyAndWithoutItsCgroups) {
  in_user_namespace();
  leave_out_namespace("network");  // then a sysfs can't be mounted
  leave_out_namespace("cgroup");
  auto& mounts = config["mounts"];
  mounts.erase(mounts.size() - 1);  // that of cgroups
  ASSERT_EQ(mounts.back()["destination"], "/sys");
  for (const char* name : {"grep", "wc"}) {
    ::symlink("busybox", root(std::string("bin/") + name).c_str());
  }
  script("ls /sys/fs/cgroup | wc -l; grep ' /sys' /proc/self/mounts | grep -v -c ' ro,'; ls -d /sys/kernel");
  const auto result = run();
  EXPECT_EQ(result.out, "0\n0\n/sys/kernel\n") << result.err;
}

TEST_F(HostsOwn, AFileInTheNameOfADeviceIsNotShown) {
  in_user_namespace();
  script("cat /etc/hostname /dev/wrong 2>/dev/null");
  files::replace("/tmp/" + kId, "host's own", {.mode = 0644});
  for (const std::string& path : {"/tmp/" + kId, std::string("/dev/kmsg")}) {
    config["linux"]["devices"] = {{{"path", path}, {"type", "c"}, {"major", 1}, {"minor", 3}}};
    EXPECT_NE(run().err.find("is not the device c 1:3"), std::string::npos) << path;
  }
  ::unlink(("/tmp/" + kId).c_str());
  config["linux"]["devices"] = {{{"path", "/dev/null"}, {"type", "c"}, {"major", 1}, {"minor", 3}}};
  EXPECT_EQ(run().code, 1);  // cat's: there is no such file
}

TEST_F(HostsOwn, StatesThatAnotherUserMayHaveWrittenAreNotBelieved) {
  if (!test::have_program("setpriv")) {
    GTEST_SKIP() << "needs setpriv";
  }
  // A state whose poststop hook would be run by whoever deletes it, where jigsaw-oci looks without XDG_RUNTIME_DIR.
  config["process"]["args"] = {"true"};
  config["hooks"]["poststop"] = {{{"path", "/bin/sh"}, {"args", {"sh", "-c", "id -u > /tmp/" + kId + "-ran"}}}};
  write();
  ASSERT_EQ(oci_detached("create --bundle " + bundle() + " " + kId), 0);
  const std::string uid = std::to_string(100'000 + ::getpid() % 100'000);
  const std::string place = "/tmp/jigsaw-oci-" + uid;
  const std::string copy = "/tmp/" + kId + "-program";  // the build may lie where others can't look
  ASSERT_EQ(test::sh("cp " + test::bin("jigsaw-oci") + " " + copy + " && chmod 755 " + copy).code, 0);
  const std::string as_victim = "setpriv --reuid " + uid + " --regid " + uid + " --clear-groups env -u XDG_RUNTIME_DIR " + copy + " ";
  const auto lay_out = [&](const std::string& owner, const std::string& inner_owner, const std::string& mode) {
    ASSERT_EQ(test::sh("rm -rf " + place + " && cp -r " + bundle() + "/states " + place + " && chmod -R a+rX " + place + " && chown -R " +
                       inner_owner + " " + place + "/* && chown " + owner + " " + place + " && chmod " + mode + " " + place).code, 0);
  };
  const auto delete_and_list = [&] {
    EXPECT_NE(test::sh(as_victim + "delete --force " + kId).code, 0);
    EXPECT_NE(test::sh(as_victim + "list").code, 0);
    EXPECT_FALSE(files::exists("/tmp/" + kId + "-ran"));
  };
  lay_out("54321", "54321", "755");  // the whole of it
  delete_and_list();
  lay_out(uid, uid, "777");  // others may exchange what is in it
  delete_and_list();
  lay_out(uid, "54321", "755");  // the state alone
  EXPECT_NE(test::sh(as_victim + "delete --force " + kId).code, 0);
  EXPECT_FALSE(files::exists("/tmp/" + kId + "-ran"));
  EXPECT_NE(test::sh(as_victim + "list").err.find("belongs to user 54321"), std::string::npos);
  test::sh("rm -rf " + place + " " + copy);
  EXPECT_EQ(oci({"delete", "--force", kId}).code, 0);
  EXPECT_EQ(files::read_if_exists("/tmp/" + kId + "-ran").value_or(""), "0\n");
  ::unlink(("/tmp/" + kId + "-ran").c_str());
}

TEST_F(HostsOwn, FilesForTheCallerThatAreFifosOrLinksAreNoTrap) {
  const std::string fifo = bundle() + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  config["process"]["args"] = {"true"};
  write();
  EXPECT_NE(oci({"--log", fifo, "run", "--bundle", bundle(), kId}).err.find("open " + fifo), std::string::npos);
  EXPECT_NE(oci({"run", "--bundle", bundle(), "--config", fifo, kId}).err.find("not a regular file"), std::string::npos);
  files::replace(bundle() + "/victim", "untouched");
  const std::string link = bundle() + "/link";
  ASSERT_EQ(::symlink("victim", link.c_str()), 0);
  for (const std::string& file : {link, fifo}) {
    EXPECT_EQ(oci({"run", "--pid-file", file, "--bundle", bundle(), kId}).code, 0);
    EXPECT_GT(std::stoi(files::read(file)), 0);  // a file of our own has taken its place
  }
  EXPECT_EQ(files::read(bundle() + "/victim"), "untouched");
}

// Whoever waits for the file takes its process for a container.
TEST_F(HostsOwn, NobodyIsToldOfAContainerThatDoesNotComeAbout) {
  config["process"]["args"] = {"/no/such/program"};
  write();
  EXPECT_EQ(oci({"run", "--pid-file", bundle() + "/pid", "--bundle", bundle(), kId}).code, 127);
  EXPECT_FALSE(files::exists(bundle() + "/pid"));
  EXPECT_NE(oci({"state", kId}).code, 0);
}

TEST_F(HostsOwn, ALogThatSomebodyElseHasMadeALinkIsNotWrittenTo) {
  const std::string directory = bundle() + "/theirs";
  files::make_directories(directory);
  files::replace(bundle() + "/victim", "untouched");
  ASSERT_EQ(::symlink("../victim", (directory + "/log").c_str()), 0);
  const auto run_with_log = [&](const std::string& log) { return oci({"--log", log, "run", "--bundle", "/nosuch", kId}).err; };
  ASSERT_EQ(::lchown((directory + "/log").c_str(), 1234, 1234), 0);
  EXPECT_NE(run_with_log(directory + "/log").find("is a symbolic link of user 1234"), std::string::npos);
  EXPECT_EQ(files::read(bundle() + "/victim"), "untouched");
  ASSERT_EQ(::lchown((directory + "/log").c_str(), 0, 0), 0);  // as /dev/stderr is
  run_with_log(directory + "/log");
  EXPECT_NE(files::read(bundle() + "/victim").find("msg=\"bundle /nosuch is not a directory\""), std::string::npos);
}

TEST_F(HostsOwn, AConsoleSocketThatNobodyListensToIsNotWaitedForWithoutEnd) {
  const std::string path = bundle() + "/console";
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  std::strcpy(where.sun_path, path.c_str());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  ASSERT_EQ(::listen(socket.get(), 0), 0);
  std::vector<Fd> waiting;
  for (int rc = 0; rc == 0;) {  // until its backlog is full
    waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    rc = ::connect(waiting.back().get(), reinterpret_cast<sockaddr*>(&where), sizeof where);
  }
  config["process"]["terminal"] = true;
  write();
  EXPECT_NE(oci({"create", "--console-socket", path, "--bundle", bundle(), kId}).err.find("connect to the console socket"), std::string::npos);
}

TEST_F(HostsOwn, ARuleForDevicesOfBothKindsAllowsNoMoreThanItSays) {  // cgroup v1 reads "a" as everything, whatever follows
  for (const char* set : {"bounding", "effective", "permitted"}) {
    config["process"]["capabilities"][set] = {"CAP_MKNOD"};
  }
  config["root"]["readonly"] = false;
  ::symlink("busybox", root("bin/mknod").c_str());
  script("mknod /log c 1 11 && echo made; cat /dev/null; (: > /log) 2>/dev/null && echo opened");
  for (const nlohmann::json& rule : {nlohmann::json{{"allow", true}, {"access", "m"}}, nlohmann::json{{"allow", true}, {"type", "a"}, {"major", 10}, {"access", "rwm"}}}) {
    config["linux"]["resources"]["devices"] = {{{"allow", false}, {"access", "rwm"}}, rule};
    EXPECT_EQ(run().out, "made\n") << rule;
    std::filesystem::remove(root("log"));
  }
  for (const int64_t number : {int64_t{-2}, int64_t{1} << 32, (int64_t{1} << 32) + 8}) {
    config["linux"]["resources"]["devices"] = {{{"allow", true}, {"type", "b"}, {"major", number}, {"access", "r"}}};
    EXPECT_NE(run().err.find("is no number of a device"), std::string::npos) << number;
  }
}

TEST_F(HostsOwn, APipeIsGivenToTheProgramsUserAndAFileIsNot) {
  config["process"]["user"] = {{"uid", 7}, {"gid", 7}};
  script("echo out > /dev/stdout; echo error > /dev/stderr");
  const auto result = run();
  EXPECT_EQ(result.out + result.err, "out\nerror\n");
  const std::string file = bundle() + "/output";
  test::sh(test::bin("jigsaw-oci") + " --root " + bundle() + "/states run --bundle " + bundle() + " " + kId + " > " + file + " 2>&1");
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0U);
}

}  // namespace
}  // namespace jigsaw::runtime
