#include "rootfs/base_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "support/run.h"

namespace jigsaw::rootfs {
namespace {

TEST(BaseTree, EveryDirectoryIsNamedBeforeWhatIsInIt) {
  for (const BaseLayer& layer : base_layers()) {
    std::set<std::string> directories = {"."};
    std::set<std::string> seen;
    for (const BaseEntry& entry : layer.entries) {
      const size_t slash = entry.path.rfind('/');
      EXPECT_TRUE(directories.contains(slash == std::string::npos ? "." : entry.path.substr(0, slash))) << entry.path;
      EXPECT_TRUE(seen.insert(entry.path).second) << entry.path << " is named twice";
      if (entry.kind == BaseEntry::Kind::kDirectory) {
        directories.insert(entry.path);
      }
    }
  }
}

TEST(BaseTree, IsWrittenWholeAndItsShellRuns) {
  const files::TemporaryDirectory room;
  const std::string root = room.path() + "/rootfs";
  journal::Record record(room.path() + "/records", journal::common_kinds());
  write_base_rootfs(root, record);
  struct stat status {};
  ASSERT_EQ(::stat((root + "/tmp").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 01777U);
  EXPECT_EQ(test::run({root + "/bin/sh", "-c", "echo works"}).out, "works\n");
  EXPECT_THROW(write_base_rootfs(root, record), Error);
}

TEST(BaseTree, LayersSortBottomFirst) {
  const files::TemporaryDirectory room;
  const files::TemporaryDirectory records;
  journal::Record record(records.path(), journal::common_kinds());
  write_base_layers(room.path(), record);
  EXPECT_THAT(files::list(room.path()), ::testing::ElementsAre("1-busybox", "2-system", "3-jigsaw"));
  EXPECT_TRUE(files::exists(room.path() + "/1-busybox/bin/ls"));
  EXPECT_FALSE(files::exists(room.path() + "/1-busybox/etc"));
}

}  // namespace
}  // namespace jigsaw::rootfs
