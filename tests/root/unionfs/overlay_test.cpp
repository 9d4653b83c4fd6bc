// Overlay mounts on the real kernel, by both routes, as root and in a user namespace.
#include "unionfs/overlay.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "support/run.h"
#include "support/snapshot.h"
#include "unionfs/changes.h"

namespace jigsaw::unionfs {
namespace {

using ::testing::HasSubstr;
using Route = Overlay::Route;

class OverlayTest : public ::testing::TestWithParam<Route> {
 protected:
  void SetUp() override {
    if (!test::is_root()) {
      GTEST_SKIP() << "mounting needs root";
    }
    if (GetParam() == Route::kFsconfig && !kernel_is_at_least(6, 8)) {
      GTEST_SKIP() << "lowerdir+ came with Linux 6.8";
    }
  }
  std::string make(const std::string& name) {
    files::make_directories(room_.path() + "/" + name);
    return room_.path() + "/" + name;
  }
  void write(const std::string& path, const std::string& text) { files::replace(path, text, {.sync = false}); }
  // A path below a mount that is attached nowhere.
  static std::string through(const Fd& mount, const std::string& path) {
    return "/proc/self/fd/" + std::to_string(mount.get()) + path;
  }
  Overlay two_layers() {
    write(make("base/etc") + "/motd", "old");
    write(make("base/etc") + "/hosts", "hosts");
    write(make("base/gone") + "/file", "x");
    write(make("top/etc") + "/motd", "new");
    return {.lowers = {make("top"), make("base")}, .upper = make("upper"), .work = make("work"), .route = GetParam()};
  }

  files::TemporaryDirectory room_;
};

INSTANTIATE_TEST_SUITE_P(Routes, OverlayTest, ::testing::Values(Route::kFsconfig, Route::kMountOptions),
                         [](const auto& route) { return route.param == Route::kFsconfig ? "Fsconfig" : "MountOptions"; });

TEST_P(OverlayTest, TheTopLayerWinsAndTheHostSeesNoMount) {
  const auto before = test::host_snapshot();
  const Fd mount = mount_overlay(two_layers());
  EXPECT_EQ(files::read(through(mount, "/etc/motd")), "new");
  EXPECT_EQ(files::read(through(mount, "/etc/hosts")), "hosts");
  EXPECT_EQ(before.mounts, test::host_snapshot().mounts);
}

TEST_P(OverlayTest, CanBeAttachedFromTheNamespaceThatAskedForIt) {
  const Fd mount = mount_overlay(two_layers());
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::unshare(CLONE_NEWNS);
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    const std::string place = make("merged");
    sys::move_mount(mount.get(), files::open(place, O_PATH).get(), place, "");
    ::_exit(files::read(place + "/etc/motd") == "new" ? 0 : 1);
  }
  int status = -1;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_P(OverlayTest, ChangesAreInTheUpperAndListed) {
  const Overlay overlay = two_layers();
  {
    const Fd mount = mount_overlay(overlay);
    write(through(mount, "/etc/motd"), "mine");
    write(through(mount, "/added"), "a");
    files::remove_tree(through(mount, "/etc/hosts"));
    files::remove_tree(through(mount, "/gone"));
    ::mkdir(through(mount, "/gone").c_str(), 0755);
    write(through(mount, "/gone/fresh"), "f");
  }
  using Kind = Change::Kind;
  EXPECT_THAT(changes(overlay.upper, overlay.lowers, usable_xattrs()),
              ::testing::ElementsAre(Change{Kind::kAdded, "/added"}, Change{Kind::kModified, "/etc"},
                                     Change{Kind::kDeleted, "/etc/hosts"}, Change{Kind::kModified, "/etc/motd"},
                                     Change{Kind::kReplaced, "/gone"}, Change{Kind::kAdded, "/gone/fresh"}));
  EXPECT_EQ(files::read(overlay.lowers[0] + "/etc/motd"), "new");
}

TEST_P(OverlayTest, FiveHundredLayersFit) {
  Overlay overlay{.upper = make("upper"), .work = make("work"), .route = GetParam()};
  for (size_t index = 0; index < kMaxLowers; ++index) {
    const std::string layer = make(fmt::format("a-rather-long-name-for-the-directory-of-a-layer/{:04}/diff", index));
    write(layer + fmt::format("/file{}", index), "");
    overlay.lowers.push_back(layer);
  }
  const Fd mount = mount_overlay(overlay);
  EXPECT_EQ(files::list(through(mount, "/")).size(), kMaxLowers);
}

TEST_P(OverlayTest, TheWorkingDirectoryIsTheSameAfterwards) {
  const std::string before = std::filesystem::current_path();
  mount_overlay(two_layers());
  EXPECT_EQ(std::filesystem::current_path(), before);
}

TEST_P(OverlayTest, SomebodyElsesUpperFileSystemIsDiagnosed) {
  Overlay overlay = two_layers();
  overlay.work = "/dev/shm";
  try {
    mount_overlay(overlay);
    FAIL() << "the kernel took it";
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("on one file system"));
  }
}

// root in a user namespace of its own, as an unprivileged user has it
TEST_P(OverlayTest, WorksInAUserNamespace) {
  const Overlay overlay = two_layers();
  ASSERT_EQ(test::sh("chown -R 1000:1000 " + room_.path()).code, 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    try {
      check(::setresgid(1000, 1000, 1000) | ::setresuid(1000, 1000, 1000), "become user 1000");
      ::prctl(PR_SET_DUMPABLE, 1);  // else /proc/self belongs to root after the change of user
      check(::unshare(CLONE_NEWUSER | CLONE_NEWNS), "a user namespace");
      sys::write_file("/proc/self/setgroups", "deny", "");
      sys::write_file("/proc/self/uid_map", "0 1000 1", "");
      sys::write_file("/proc/self/gid_map", "0 1000 1", "");
      if (usable_xattrs() != Xattrs::kUser) {
        ::_exit(2);
      }
      const Fd mount = mount_overlay(overlay);
      write(through(mount, "/etc/motd"), "mine");
      files::remove_tree(through(mount, "/gone"));
      ::mkdir(through(mount, "/gone").c_str(), 0755);
      const auto found = changes(overlay.upper, overlay.lowers, Xattrs::kUser);
      ::_exit(found.size() == 3 && found[2] == Change{Change::Kind::kReplaced, "/gone"} ? 0 : 1);
    } catch (const Error& error) {
      ::fprintf(stderr, "%s (%s)\n", error.what(), error.hint().c_str());
      ::_exit(3);
    }
  }
  int status = -1;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

class OverlayPaths : public OverlayTest {};
INSTANTIATE_TEST_SUITE_P(Any, OverlayPaths, ::testing::Values(Route::kAutomatic), [](const auto&) { return "Automatic"; });

TEST_P(OverlayPaths, NoPathNeedsEscaping) {
  const std::string odd = make("a:b,c\\d e=f");
  write(odd + "/file", "odd");
  const Overlay overlay{.lowers = {odd, make("other")}, .upper = make("up:per,"), .work = make("wo\\rk")};
  const Fd mount = mount_overlay(overlay);
  EXPECT_EQ(files::read(through(mount, "/file")), "odd");
}

TEST_P(OverlayPaths, PathsMayBeLongerThanAnFsconfigValue) {
  const std::string deep = make(std::string(200, 'd') + "/" + std::string(200, 'e'));
  write(deep + "/file", "deep");
  const Fd mount = mount_overlay({.lowers = {deep, make("other")}});
  EXPECT_EQ(files::read(through(mount, "/file")), "deep");
}

TEST_P(OverlayPaths, OneLayerWithoutAnUpperIsReadOnly) {
  write(make("only") + "/file", "x");
  const Fd mount = mount_overlay({.lowers = {make("only")}});
  EXPECT_EQ(files::read(through(mount, "/file")), "x");
  EXPECT_EQ(::mkdir(through(mount, "/new").c_str(), 0755), -1);
  EXPECT_EQ(errno, EROFS);
}

TEST(OverlayArguments, AreCheckedBeforeTheKernelSeesThem) {
  EXPECT_THROW(mount_overlay({}), Error);
  EXPECT_THROW(mount_overlay({.lowers = {"relative"}}), Error);
  EXPECT_THROW(mount_overlay({.lowers = {"/"}, .upper = "/tmp"}), Error);
  EXPECT_THROW(mount_overlay({.lowers = {"/no/such/layer", "/"}}), Error);
  EXPECT_THROW(mount_overlay({.lowers = {"/etc/passwd", "/"}}), Error);
  try {
    mount_overlay({.lowers = std::vector<std::string>(kMaxLowers + 1, "/")});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("501 layers are more than the kernel can stack (500)"));
  }
}

}  // namespace
}  // namespace jigsaw::unionfs
