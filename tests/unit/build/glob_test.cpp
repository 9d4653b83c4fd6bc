#include "build/glob.h"

#include <gtest/gtest.h>

namespace jigsaw::build {
namespace {

TEST(Glob, FollowsFilepathMatch) {
  EXPECT_TRUE(glob_matches("*", "abc"));
  EXPECT_TRUE(glob_matches("a*c", "abbc"));
  EXPECT_FALSE(glob_matches("a*c", "ab/c"));
  EXPECT_TRUE(glob_matches("a?c", "aéc"));
  EXPECT_FALSE(glob_matches("a?c", "a/c"));
  EXPECT_TRUE(glob_matches("[a-c]x", "bx"));
  EXPECT_FALSE(glob_matches("[^a-c]x", "bx"));
  EXPECT_TRUE(glob_matches("\\*", "*"));
  EXPECT_FALSE(glob_matches("\\*", "x"));
  EXPECT_FALSE(glob_matches("[", "["));
  EXPECT_FALSE(glob_matches("a\\", "a"));
  EXPECT_TRUE(glob_matches("a*b*c*d", "a1b2c3d"));
}

TEST(Glob, KnowsWildcards) {
  EXPECT_TRUE(has_wildcards("a/*.c"));
  EXPECT_FALSE(has_wildcards("a\\*.c"));
}

TEST(Paths, AreCleanedAsGoDoes) {
  EXPECT_EQ(clean_path("a//b/./../c/"), "/a/c");
  EXPECT_EQ(clean_path("../../.."), "/");
  EXPECT_EQ(clean_path_keeping_end("/a/b/"), "/a/b/");
  EXPECT_EQ(clean_path_keeping_end("/a/."), "/a/.");
  EXPECT_EQ(base_name("/a/b/"), "b");
  EXPECT_EQ(parent_path("/a"), "/");
}

}  // namespace
}  // namespace jigsaw::build
