#include "base/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace jigsaw {
namespace {

TEST(Files, ReadRefusesWhatCouldBlockOrNeverEnd) {
  const files::TemporaryDirectory place;
  const std::string fifo = place.path() + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THROW(files::read(fifo), Error);
  EXPECT_THROW(files::read("/dev/zero"), Error);
  EXPECT_THROW(files::read(place.path()), Error);
  files::replace(place.path() + "/big", std::string(1001, 'x'));
  EXPECT_THROW(files::read(place.path() + "/big", 1000), Error);
  EXPECT_EQ(files::read(place.path() + "/big", 1001).size(), 1001U);
  EXPECT_THAT(files::read("/proc/self/status"), testing::HasSubstr("Pid:"));
}

TEST(Files, ReplaceLeavesOldOrNewAndNothingElse) {
  const files::TemporaryDirectory place;
  const std::string path = place.path() + "/state";
  files::replace(path, "old");
  files::replace(path, "new");
  EXPECT_EQ(files::read(path), "new");
  EXPECT_THROW(files::replace(place.path() + "/no/such/directory", "x"), Error);
  EXPECT_EQ(files::list(place.path()), std::vector<std::string>{"state"});
}

TEST(Files, ReplaceGivesTheModeAskedForWhateverTheUmask) {
  const files::TemporaryDirectory place;
  const std::string path = place.path() + "/file";
  for (const mode_t mask : {0077, 0000, 0777}) {
    for (const mode_t mode : {0644, 0600, 0755}) {
      const mode_t former = ::umask(mask);
      files::replace(path, "text", {.mode = mode, .sync = false});
      ::umask(former);
      struct stat status {};
      ASSERT_EQ(::stat(path.c_str(), &status), 0);
      EXPECT_EQ(status.st_mode & 07777, mode) << "umask " << mask;
    }
  }
}

TEST(Files, RemoveTreeFollowsNoLink) {
  const files::TemporaryDirectory place;
  const std::string outside = place.path() + "/outside";
  const std::string tree = place.path() + "/tree";
  files::make_directories(outside);
  files::replace(outside + "/precious", "x");
  files::make_directories(tree + "/a/b");
  ASSERT_EQ(::symlink("../outside", (tree + "/link").c_str()), 0);
  ASSERT_EQ(::chmod((tree + "/a").c_str(), 0), 0);
  files::remove_tree(tree);
  EXPECT_FALSE(files::exists(tree));
  EXPECT_TRUE(files::exists(outside + "/precious"));
  EXPECT_NO_THROW(files::remove_tree(tree)) << "gone already is fine";
}

TEST(Files, RemoveTreeGoesAsDeepAsAnArchiveCan) {
  const files::TemporaryDirectory place;
  Fd at = files::open(place.path(), O_RDONLY | O_DIRECTORY);
  for (int depth = 0; depth < 3000; ++depth) {
    ASSERT_EQ(::mkdirat(at.get(), "d", 0700), 0);
    at = files::open_at(at.get(), "d", O_RDONLY | O_DIRECTORY);
  }
  at.reset();
  files::remove_tree(place.path() + "/d");
  EXPECT_TRUE(files::list(place.path()).empty());
}

TEST(Files, ALockExcludesAndIsLetGo) {
  const files::TemporaryDirectory place;
  const std::string path = place.path() + "/lock";
  {
    const auto held = files::Lock::take(path);
    EXPECT_FALSE(files::Lock::try_take(path));
  }
  EXPECT_TRUE(files::Lock::try_take(path));
}

}  // namespace
}  // namespace jigsaw
