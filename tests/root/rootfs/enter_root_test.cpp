// A root entered for real: in a child with namespaces of its own, looked at from inside.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "process/spawn.h"
#include "rootfs/devices.h"
#include "rootfs/masks.h"
#include "rootfs/mountinfo.h"
#include "rootfs/mounts.h"
#include "rootfs/pivot.h"
#include "support/run.h"
#include "support/snapshot.h"

namespace jigsaw::rootfs {
namespace {

class EnterRoot : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) {
      GTEST_SKIP() << "needs root";
    }
    files::make_directories(path("etc"));
    files::replace(path("etc/inside"), "yes");
  }
  std::string path(const std::string& name) const { return temporary_.path() + "/" + name; }

  // Runs `look` inside a root made of the directory and the default mounts.
  void inside(const std::function<void()>& look) {
    process::Child child = process::spawn({.namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC}, [&](process::Gate&) {
      make_private();
      Masks masks = Masks::make();
      const Fd root = bind_root(temporary_.path());
      attach_root(root.get());
      for (const Mount& mount : default_mounts()) {
        attach(root.get(), mount);
      }
      make_devices(root.get(), default_devices(), DeviceMaking::kNodes);
      make_device_links(root.get());
      masks.cover(root.get(), default_masked_paths());
      for (const std::string& each : default_read_only_paths()) {
        make_read_only(root.get(), each);
      }
      enter_root(root.get());
      look();
      return 0;
    });
    child.release();
    child.wait_started();
    EXPECT_EQ(child.wait().code, 0);
  }

  files::TemporaryDirectory temporary_;
};

void expect(bool holds, const char* what) {
  if (!holds) {
    throw Error(what);
  }
}

TEST_F(EnterRoot, OnlyTheNewRootIsLeft) {
  const auto before = test::host_snapshot();
  inside([] {
    expect(files::read("/etc/inside") == "yes", "the file of the new root is not there");
    expect(!files::exists("/work") && !files::exists("/usr"), "the old root can be seen");
    const auto table = mount_table();
    const auto roots = std::count_if(table.begin(), table.end(), [](const MountEntry& entry) { return entry.target == "/"; });
    expect(roots == 1, "the old root is still mounted");
    for (const MountEntry& entry : table) {
      expect(entry.propagation.empty(), "a mount is not private");
    }
  });
  EXPECT_EQ(test::left_behind(before, test::host_snapshot()), "");
}

TEST_F(EnterRoot, DevicesAreTheRealOnes) {
  inside([] {
    struct stat status {};
    check(::stat("/dev/null", &status), "stat /dev/null");
    expect(S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3), "/dev/null is another device");
    expect((status.st_mode & 0777) == 0666, "/dev/null has another mode");
    check(::stat("/dev/ptmx", &status), "stat /dev/ptmx");
    check(::stat("/dev/fd/0", &status), "stat /dev/fd/0");
  });
}

TEST_F(EnterRoot, MaskedPathsAreEmptyAndReadOnlyPathsRefuseWriting) {
  inside([] {
    expect(files::read("/proc/interrupts").empty(), "/proc/interrupts is not masked");
    expect(::open("/proc/sys/kernel/hostname", O_WRONLY) < 0 && errno == EROFS, "/proc/sys can be written");
    expect(::open("/proc/interrupts", O_WRONLY) < 0 && errno == EROFS, "the cover can be written");
  });
}

TEST_F(EnterRoot, ADevThatIsALinkIsRefusedAndLeadsNowhere) {
  const files::TemporaryDirectory outside;
  ASSERT_EQ(::symlink(outside.path().c_str(), path("dev").c_str()), 0);
  EXPECT_THROW(inside([] {}), Error);
  EXPECT_TRUE(files::list(outside.path()).empty());
}

TEST_F(EnterRoot, AProcThatIsALinkIsRefused) {
  ASSERT_EQ(::symlink("etc", path("proc").c_str()), 0);
  EXPECT_THROW(inside([] {}), Error);
}

TEST_F(EnterRoot, ReadOnlyRootAndTmpfsThatStartsWithWhatWasThere) {
  process::Child child = process::spawn({.namespaces = CLONE_NEWNS}, [&](process::Gate&) {
    make_private();
    const Fd root = bind_root(temporary_.path());
    attach_root(root.get());
    attach(root.get(), {.destination = "/etc", .type = "tmpfs", .source = "tmpfs", .copy_up = true});
    make_read_only(root.get(), "/");
    enter_root(root.get());
    expect(files::read("/etc/inside") == "yes", "not copied up");
    files::replace("/etc/new", "x");
    expect(::mkdir("/x", 0700) < 0 && errno == EROFS, "the root can be written");
    return 0;
  });
  child.release();
  child.wait_started();
  EXPECT_EQ(child.wait().code, 0);
  EXPECT_FALSE(files::exists(path("etc/new")));
}

}  // namespace
}  // namespace jigsaw::rootfs
