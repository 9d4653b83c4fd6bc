// Roots that were filled to lead the runtime astray: links where directories are expected, swapped while it looks.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class HostileRoot : public Bundle {
 protected:
  void SetUp() override {
    Bundle::SetUp();
    files::replace(outside("secret"), "host's own", {.mode = 0600});
    mounts_before_ = test::host_snapshot().mounts;
    config["root"]["readonly"] = false;
    config["process"]["args"] = {"true"};
  }
  void TearDown() override {
    if (IsSkipped()) {
      return;
    }
    EXPECT_EQ(test::host_snapshot().mounts, mounts_before_);
    EXPECT_EQ(files::list(outside_.path()), std::vector<std::string>{"secret"});
    EXPECT_EQ(files::read(outside("secret")), "host's own");
    struct stat status {};
    EXPECT_EQ(::stat(outside("secret").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
    EXPECT_EQ(status.st_uid, 0U);
    Bundle::TearDown();
  }
  std::string outside(const std::string& name = "") const { return outside_.path() + (name.empty() ? "" : "/" + name); }
  void link(const std::string& target, const std::string& name) const {
    std::filesystem::remove_all(root(name));
    ASSERT_EQ(::symlink(target.c_str(), root(name).c_str()), 0);
  }
  void leave_out_mount(const std::string& destination) {
    auto& list = config["mounts"];
    for (size_t i = list.size(); i-- > 0;) {
      if (list[i]["destination"].get<std::string>().starts_with(destination)) {
        list.erase(i);
      }
    }
  }
  void mount(const std::string& destination, std::vector<std::string> options = {}) {
    config["mounts"].push_back({{"destination", destination}, {"type", "tmpfs"}, {"source", "tmpfs"}, {"options", std::move(options)}});
  }

 private:
  files::TemporaryDirectory outside_;
  std::string mounts_before_;
};

TEST_F(HostileRoot, NullThatIsALinkCoversNothingElseAndIsGivenToNobody) {  // CVE-2025-31133, CVE-2026-88265
  leave_out_mount("/dev");
  config["process"]["user"] = {{"uid", 7}, {"gid", 7}};  // its stdin is /dev/null
  std::filesystem::create_directory(root("dev"));
  for (const std::string& target : {outside("secret"), std::string("/proc/sys/kernel/core_pattern"), std::string("../../../../../etc/passwd")}) {
    link(target, "dev/null");
    const std::string before = files::read("/proc/sys/kernel/core_pattern");
    script("echo x > /proc/kcore; head -c 1 /proc/kcore | wc -c");
    const auto result = run();
    EXPECT_TRUE(result.code != 0 || result.out == "0\n") << result.out;
    EXPECT_EQ(files::read("/proc/sys/kernel/core_pattern"), before);
  }
}

TEST_F(HostileRoot, ConsolesAndTerminalsThatAreLinksStayInside) {  // CVE-2025-52565
  const std::string path = bundle() + "/console";
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  std::memcpy(where.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  ASSERT_EQ(::listen(socket.get(), 16), 0);
  leave_out_mount("/dev");
  std::filesystem::create_directory(root("dev"));
  config["process"]["terminal"] = true;
  config["process"]["args"] = {"sleep", "60"};
  for (const char* name : {"dev/console", "dev/pts", "dev/ptmx", "dev/tty"}) {
    for (const std::string& target : {outside("secret"), outside(), outside("new"), std::string("../../../../../../proc/sysrq-trigger")}) {
      link(target, name);
      write();
      oci_detached("create --console-socket " + path + " --bundle " + bundle() + " " + kId);
      oci({"delete", "--force", kId});
      std::filesystem::remove(root(name));
    }
  }
}

TEST_F(HostileRoot, ADevThatIsALinkIsRefusedWithAndWithoutAMount) {  // CVE-2026-47766, CVE-2026-41579
  for (const std::string& target : {outside(), std::string("/etc"), std::string("etc"), "../../../../../.." + outside()}) {
    link(target, "dev");
    EXPECT_NE(run().code, 0) << target;
    const nlohmann::json before = config;
    leave_out_mount("/dev");
    EXPECT_NE(run().code, 0) << target;
    config = before;
  }
}

TEST_F(HostileRoot, AFakeProcIsNotWrittenTo) {  // CVE-2019-16884, CVE-2025-52881
  leave_out_mount("/proc");
  files::make_directories(root("fake/sys/net/ipv4"));
  files::make_directories(root("fake/self/attr"));
  for (const char* name : {"fake/sys/net/ipv4/ip_forward", "fake/self/attr/exec", "fake/self/setgroups"}) {
    files::replace(root(name), "unwritten", {.mode = 0666});
  }
  config["mounts"].push_back({{"destination", "/proc"}, {"type", "bind"}, {"source", root("fake")}, {"options", {"rbind"}}});
  config["linux"]["sysctl"] = {{"net.ipv4.ip_forward", "1"}};
  config["linux"].erase("maskedPaths");
  config["linux"].erase("readonlyPaths");
  run();
  for (const char* name : {"fake/sys/net/ipv4/ip_forward", "fake/self/attr/exec", "fake/self/setgroups"}) {
    EXPECT_EQ(files::read(root(name)), "unwritten") << name;
  }
}

TEST_F(HostileRoot, MagicLinksAreNoPlacesForMounts) {
  for (const std::string& destination : {"/proc/1/root" + outside() + "/m", std::string("/proc/self/cwd/m"), std::string("/proc/self/fd/5/m"),
                                         std::string("/proc/thread-self/root/m"), std::string("/proc/self/exe")}) {
    config["mounts"].erase(config["mounts"].size() - 1);
    mount(destination);
    EXPECT_NE(run().code, 0) << destination;
  }
}

TEST_F(HostileRoot, EveryPlaceThatIsALinkLeadsInside) {  // CVE-2021-30465, CVE-2023-27561, CVE-2026-55686
  for (const char* name : {"dev", "sys", "mnt", "work", "etc", "tmp"}) {
    for (const std::string& target : {outside(), "../../../../../../.." + outside(), outside("new")}) {
      link(target, name);
      const nlohmann::json before = config;
      mount("/mnt/deep/place", {"tmpcopyup"});
      mount("/tmp", {"tmpcopyup"});
      config["process"]["cwd"] = "/work/deep";
      config["linux"]["devices"] = {{{"path", "/mnt/null"}, {"type", "c"}, {"major", 1}, {"minor", 3}, {"uid", 5}}};
      config["linux"]["maskedPaths"].push_back("/etc/secret");
      config["linux"]["readonlyPaths"].push_back("/mnt/secret");
      script("cat /tmp/secret /etc/secret /mnt/secret /work/secret 2>/dev/null");
      EXPECT_EQ(run().out.find("own"), std::string::npos) << name << " -> " << target;
      config = before;
      std::filesystem::remove(root(name));
    }
  }
}

TEST_F(HostileRoot, AFileIsBoundOverALinkInsideOnly) {
  files::replace(bundle() + "/hosts", "hosts");
  for (const std::string& target : {outside("secret"), outside("new"), "../../../../.." + outside("secret")}) {
    link(target, "etc/hosts");
    config["mounts"].push_back({{"destination", "/etc/hosts"}, {"type", "bind"}, {"source", bundle() + "/hosts"}, {"options", {"bind", "ro"}}});
    run();
    config["mounts"].erase(config["mounts"].size() - 1);
  }
}

TEST_F(HostileRoot, ADirectoryThatIsSwappedForALinkMeanwhileLeadsNowhere) {  // CVE-2021-30465
  std::filesystem::create_directory(root("a"));
  link(outside(), "b");
  for (const char* destination : {"/a/m", "/a/n/o", "/a/file"}) {
    mount(destination);
  }
  config["mounts"].push_back({{"destination", "/a/bound"}, {"type", "bind"}, {"source", "/etc/passwd"}, {"options", {"bind"}}});
  config["linux"]["devices"] = {{{"path", "/a/null"}, {"type", "c"}, {"major", 1}, {"minor", 3}}};
  config["process"]["cwd"] = "/a/work";
  std::atomic<bool> done = false;
  const std::string one = root("a");
  const std::string other = root("b");
  std::thread swapping([&] {
    while (!done) {
      ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
    }
  });
  for (int i = 0; i < 40; ++i) {
    run();
  }
  done = true;
  swapping.join();
}

TEST_F(HostileRoot, AccountFilesThatAreNoFilesAreNotRead) {  // CVE-2024-9676
  for (const char* name : {"etc/passwd", "etc/group"}) {
    for (const std::string& target : {outside("secret"), std::string("/dev/zero"), std::string("/proc/kmsg"), std::string("/dev/tty")}) {
      link(target, name);
      config["process"]["user"] = {{"uid", 7}, {"gid", 7}};
      script("echo $HOME");
      EXPECT_EQ(run().out, "/\n") << name << " -> " << target;
    }
    std::filesystem::remove(root(name));
  }
}

TEST_F(HostileRoot, CgroupsOfVersion1CanNotNameAReleaseAgent) {  // CVE-2022-0492
  const std::string agents = "cat /sys/fs/cgroup/*/release_agent 2>/dev/null";
  const std::string before = test::sh(agents).out;
  ::symlink("busybox", root("bin/mkdir").c_str());
  script("for f in /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/*/notify_on_release; do echo /evil > $f; done 2>/dev/null; "
         "mkdir /tmp/c && mount -t cgroup -o memory none /tmp/c && echo mounted");
  EXPECT_EQ(run().out, "");
  EXPECT_EQ(test::sh(agents).out, before);
}

}  // namespace
}  // namespace jigsaw::runtime
