// Where cgroups are, read from made-up machines.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "cgroups/layout.h"

namespace jigsaw::cgroups {
namespace {

class FakeMachine {
 public:
  FakeMachine(const std::string& mountinfo, const std::string& cgroup) {
    write("/proc/self/mountinfo", mountinfo);
    write("/proc/self/cgroup", cgroup);
  }
  void write(const std::string& path, const std::string& text) const {
    files::make_directories(root() + path.substr(0, path.rfind('/')));
    std::ofstream(root() + path) << text;
  }
  const std::string& root() const { return directory_.path(); }

 private:
  files::TemporaryDirectory directory_;
};

constexpr const char* kV1Mounts =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "34 31 0:31 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n"
    "35 31 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd\n";
constexpr const char* kV1Table = "4:name=systemd:/s\n3:blkio:/\n2:memory:/box/a\n1:cpu,cpuacct:/\n";

TEST(Layout, V1HasATreeForEachController) {
  const FakeMachine machine(kV1Mounts, kV1Table);
  const Layout layout = read_layout(machine.root());
  ASSERT_EQ(layout.hierarchies.size(), 4U);
  EXPECT_EQ(layout.describe(), "cgroup v1");
  EXPECT_EQ(layout.find("cpuacct"), layout.find("cpu"));
  EXPECT_EQ(layout.find("cpu")->name(), "cpu,cpuacct");
  EXPECT_EQ(layout.find("io"), layout.find("blkio"));
  EXPECT_EQ(layout.find("memory")->own, "/box/a");
  EXPECT_EQ(layout.hierarchies.back().controllers, std::vector<std::string>{"name=systemd"});
  EXPECT_EQ(layout.find("pids"), nullptr);
  EXPECT_EQ(layout.unified(), nullptr);
}

TEST(Layout, V2HasOneTree) {
  const FakeMachine machine("30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n", "0::/user.slice/a\n");
  machine.write("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
  const Layout layout = read_layout(machine.root());
  ASSERT_EQ(layout.hierarchies.size(), 1U);
  EXPECT_EQ(layout.describe(), "cgroup v2");
  EXPECT_EQ(layout.find("blkio"), layout.unified());
  EXPECT_EQ(layout.find("devices"), layout.unified());
  EXPECT_EQ(layout.find("freezer"), layout.unified());
  EXPECT_EQ(layout.find("hugetlb"), nullptr);
  EXPECT_EQ(layout.unified()->own, "/user.slice/a");
}

TEST(Layout, HybridIsAskedPerController) {
  const FakeMachine machine(std::string(kV1Mounts) + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
                            std::string(kV1Table) + "0::/\n");
  machine.write("/sys/fs/cgroup/unified/cgroup.controllers", "hugetlb\n");
  const Layout layout = read_layout(machine.root());
  EXPECT_EQ(layout.describe(), "cgroup v1 and v2 (hybrid)");
  EXPECT_EQ(layout.find("memory")->version, Version::kV1);
  EXPECT_EQ(layout.find("hugetlb")->version, Version::kV2);
}

TEST(Layout, ATreeThatIsMountedTwiceIsTakenOnce) {
  const FakeMachine machine(
      "60 1 0:26 / /srv/root/sys/fs/cgroup rw - cgroup2 none rw\n30 23 0:26 / /sys/fs/cgroup rw - cgroup2 none rw\n", "0::/\n");
  const Layout layout = read_layout(machine.root());
  ASSERT_EQ(layout.hierarchies.size(), 1U);
  EXPECT_EQ(layout.hierarchies[0].mount_point, machine.root() + "/sys/fs/cgroup");
}

// As `mount -t tmpfs none /sys/fs/cgroup/unified` does it for programs that can't stand a hybrid machine.
TEST(Layout, ATreeThatAnotherMountHidesIsNone) {
  const std::string root = "21 1 259:1 / / rw - ext4 /dev/root rw\n22 21 0:20 / /sys rw - sysfs sysfs rw\n";
  const std::string v2 = "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
  const auto found = [](const std::string& mounts) { return read_layout(FakeMachine(mounts, "0::/\n").root()).hierarchies.size(); };
  EXPECT_EQ(found(root + v2), 1U);
  EXPECT_EQ(found("1 1 0:2 / / rw - rootfs rootfs rw\n" + root + v2), 1U) << "the root itself is mounted on another";
  EXPECT_EQ(found(root + v2 + "40 30 0:40 / /sys/fs/cgroup rw - tmpfs none rw\n"), 0U) << "on top";
  EXPECT_EQ(found(root + v2 + "40 22 0:40 / /sys/fs rw - tmpfs none rw\n"), 0U) << "on a directory above";
  EXPECT_EQ(found(root + v2 + "40 22 0:40 / /sys rw - sysfs none rw\n"), 0U) << "on a mount above";
  EXPECT_EQ(found(root + v2 + "40 22 0:40 / /sys/f rw - tmpfs none rw\n41 22 0:41 / /sys/fs/cgroup2 rw - tmpfs none rw\n"), 1U) << "beside";
  const std::string hybrid = std::string(kV1Mounts) + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  EXPECT_EQ(found(hybrid), 5U);
  EXPECT_EQ(found(hybrid + "71 41 0:39 / /sys/fs/cgroup/unified rw - tmpfs none rw\n"), 4U);
}

TEST(Layout, InAContainerPathsAreWithoutTheMountsRoot) {
  const FakeMachine machine("33 31 0:30 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "2:memory:/docker/abc\n");
  const Layout layout = read_layout(machine.root());
  const Hierarchy& memory = layout.hierarchies.at(0);
  EXPECT_EQ(memory.directory("/docker/abc/x"), machine.root() + "/sys/fs/cgroup/memory/x");
  EXPECT_EQ(memory.directory("/docker/abc"), machine.root() + "/sys/fs/cgroup/memory");
  EXPECT_EQ(memory.directory("/docker/abcd"), machine.root() + "/sys/fs/cgroup/memory/docker/abcd");
}

TEST(Layout, MountPointsWithBlanksAreUnescaped) {
  const FakeMachine machine("33 31 0:30 / /sys/my\\040cgroups rw - cgroup2 none rw\n", "0::/\n");
  EXPECT_EQ(read_layout(machine.root()).hierarchies.at(0).mount_point, machine.root() + "/sys/my cgroups");
}

TEST(Layout, PathsStayBelowTheRoot) {
  EXPECT_EQ(clean_path("a"), "/a");
  EXPECT_EQ(clean_path("//a/./b/"), "/a/b");
  EXPECT_EQ(clean_path("/a..b/...c"), "/a..b/...c");
  for (const std::string& bad : {std::string(""), std::string("/"), std::string("/a/../b"), std::string(".."),
                                 std::string("a\nb"), std::string("a\0b", 3), std::string(300, 'x')}) {
    EXPECT_THROW(clean_path(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace jigsaw::cgroups
