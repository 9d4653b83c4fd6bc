#include "rootfs/safe_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "rootfs/mountinfo.h"
#include "rootfs/mounts.h"

#include <linux/mount.h>
#include <sys/mount.h>

namespace jigsaw::rootfs {
namespace {

class SafePath : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return temporary_.path() + "/" + name; }
  files::TemporaryDirectory temporary_;
  Fd root_ = files::open(temporary_.path(), O_PATH);
};

TEST_F(SafePath, MissingDirectoriesAreMadeOneByOne) {
  make_directory_in_root(root_.get(), "/a//b/./c/", 0755, "test");
  EXPECT_TRUE(files::is_directory(path("a/b/c")));
}

TEST_F(SafePath, DanglingLinksAreFollowedWithinTheRoot) {
  ASSERT_EQ(::mkdir(path("var").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("/run", path("var/run").c_str()), 0);
  ASSERT_EQ(::symlink("../../../../run/x", path("var/deep").c_str()), 0);
  make_directory_in_root(root_.get(), "/var/run/secrets", 0755, "test");
  EXPECT_TRUE(files::is_directory(path("run/secrets")));
  make_file_in_root(root_.get(), "/var/deep", 0644, "test");
  EXPECT_TRUE(files::exists(path("run/x")));
}

TEST_F(SafePath, DotDotStopsAtTheRoot) {
  make_file_in_root(root_.get(), "/../../../../f", 0644, "test");
  EXPECT_TRUE(files::exists(path("f")));
  EXPECT_FALSE(files::exists("/f"));
}

TEST_F(SafePath, LinksCanBeRefused) {
  ASSERT_EQ(::symlink("/etc", path("proc").c_str()), 0);
  EXPECT_THROW(make_directory_in_root(root_.get(), "/proc", 0755, "test", Links::kRefuse), Error);
}

TEST_F(SafePath, CirclesOfLinksEnd) {
  ASSERT_EQ(::symlink("b", path("a").c_str()), 0);
  ASSERT_EQ(::symlink("a", path("b").c_str()), 0);
  EXPECT_THROW(make_directory_in_root(root_.get(), "/a/x", 0755, "test"), Error);
}

TEST_F(SafePath, AFileOnTheWayIsAnError) {
  make_file_in_root(root_.get(), "/file", 0644, "test");
  EXPECT_THROW(make_directory_in_root(root_.get(), "/file/x", 0755, "test"), Error);
  EXPECT_THROW(make_directory_in_root(root_.get(), "/file", 0755, "test"), Error);
}

TEST(MountOptions, AreSortedIntoAttributesPropagationAndData) {
  Mount mount;
  apply_options(mount, {"rbind", "ro", "nosuid", "rslave", "rro", "noatime", "size=64m", "mode=755"});
  EXPECT_EQ(mount.kind, MountKind::kRecursiveBind);
  EXPECT_EQ(mount.set, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME});
  EXPECT_EQ(mount.recursive_set, uint64_t{MOUNT_ATTR_RDONLY});
  EXPECT_EQ(mount.propagation, std::vector<uint64_t>{MS_SLAVE | MS_REC});
  EXPECT_EQ(mount.options, (std::vector<std::string>{"size=64m", "mode=755"}));
}

TEST(MountOptions, TheLastOfTwoOppositesCounts) {
  Mount mount;
  apply_options(mount, {"ro", "rw", "noatime", "relatime"});
  EXPECT_EQ(mount.set & MOUNT_ATTR_RDONLY, 0U);
  EXPECT_EQ(mount.set & MOUNT_ATTR__ATIME, uint64_t{MOUNT_ATTR_RELATIME});
}

TEST(MountInfo, EscapesAndOptionalFields) {
  const auto table = parse_mountinfo(
      "36 35 98:0 /a\\040b /mnt\\134x rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\nbroken\n");
  ASSERT_EQ(table.size(), 1U);
  EXPECT_EQ(table[0].root, "/a b");
  EXPECT_EQ(table[0].target, "/mnt\\x");
  EXPECT_EQ(table[0].propagation, "master:1 shared:2");
  EXPECT_EQ(table[0].type, "ext3");
}

}  // namespace
}  // namespace jigsaw::rootfs
