#include "security/user.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/files.h"

namespace jigsaw::security {
namespace {

using testing::ElementsAre;

const AccountFiles kFiles = {
    .passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:100:Ann:/home/ann:/bin/sh\n1234:x:7:8::/:\n",
    .group = "root:x:0:\nusers:x:100:\nwheel:x:10:root,ann\naudio:x:29:ann\n"};

TEST(User, NamesAreLookedUpWithTheirGroups) {
  const User user = resolve_user("ann", kFiles);
  EXPECT_EQ(user.uid, 1000U);
  EXPECT_EQ(user.gid, 100U);
  EXPECT_THAT(user.groups, ElementsAre(10, 29));
  EXPECT_EQ(user.home, "/home/ann");
}

TEST(User, AnExplicitGroupReplacesThoseOfTheName) {
  const User user = resolve_user("ann:audio", kFiles);
  EXPECT_EQ(user.gid, 29U);
  EXPECT_TRUE(user.groups.empty());
}

TEST(User, AnEmptyGroupIsTheUsersOwn) {
  EXPECT_EQ(resolve_user("ann:", kFiles).gid, 100U);
  EXPECT_THAT(resolve_user("ann:", kFiles).groups, ElementsAre(10, 29));
  EXPECT_EQ(resolve_user("5:", kFiles).uid, 5U);
}

TEST(User, NumbersNeedNoEntry) {
  const User user = resolve_user("5:6", kFiles);
  EXPECT_EQ(user.uid, 5U);
  EXPECT_EQ(user.gid, 6U);
  EXPECT_EQ(resolve_user("", kFiles).uid, 0U);
  EXPECT_EQ(resolve_user("4294967294", kFiles).uid, 4294967294U);
}

TEST(User, ANumberIsNeverAName) {
  const AccountFiles hostile{.passwd = "1000:x:0:0::/root:/bin/sh\n7:x:8:9::/:\n", .group = "10:x:0:\n"};
  const User user = resolve_user("1000:10", hostile);
  EXPECT_EQ(user.uid, 1000U);
  EXPECT_EQ(user.gid, 10U);
  EXPECT_EQ(user.home, "/");
  EXPECT_EQ(resolve_user("1000", hostile).gid, 0U);
  EXPECT_EQ(resolve_user("8", hostile).name, "7");
}

TEST(User, LooseTextsAreRefused) {
  for (const char* text : {"4294967295", "4294967296", "-1", "+1", "1:2:3", ":", "1::", "nobody-here", "1:nogroup", "0x0", " 1", "99999999999999999999",
                           "1:-1", "1:4294967296"}) {
    EXPECT_THROW(resolve_user(text, kFiles), Error) << text;
  }
}

TEST(User, OnlyRegularFilesInsideTheRootAreRead) {
  const files::TemporaryDirectory root;
  files::make_directories(root.path() + "/etc");
  ASSERT_EQ(::mkfifo((root.path() + "/etc/passwd").c_str(), 0600), 0);
  const Fd fd = files::open(root.path(), O_PATH);
  EXPECT_THROW(read_account_files(fd.get()), Error);
  ASSERT_EQ(::unlink((root.path() + "/etc/passwd").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (root.path() + "/etc/passwd").c_str()), 0);  // in the root: a loop
  EXPECT_EQ(read_account_files(fd.get()).passwd, "");
}

}  // namespace
}  // namespace jigsaw::security
