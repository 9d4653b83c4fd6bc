#include "build/ignore.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"

namespace jigsaw::build {
namespace {

// What a walk from the top down decides for `path`.
bool excluded_in_a_walk(const IgnoreMatcher& matcher, const std::string& path) {
  IgnoreMatcher::State state = matcher.top();
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    state = matcher.descend(state, path.substr(0, slash));
  }
  return matcher.descend(state, path).excluded;
}

// The reference implementation's own test data (github.com/moby/patternmatcher, Apache-2.0).
TEST(Ignore, HoldsTheReferenceVectors) {
  const std::string path = std::string(JIGSAW_SOURCE_DIR) + "/tests/data/dockerignore_vectors.json";
  const json::Value data = json::parse(files::read(path), path);
  size_t count = 0;
  for (const json::Value& vector : data["vectors"]) {
    const auto patterns = vector["patterns"].get<std::vector<std::string>>();
    const std::string name = vector["path"].get<std::string>();
    SCOPED_TRACE(vector.dump());
    ++count;
    if (vector.value("bad_pattern", false)) {
      EXPECT_THROW(IgnoreMatcher{patterns}, Error);
      continue;
    }
    const IgnoreMatcher matcher(patterns);
    EXPECT_EQ(matcher.excludes(name), vector["excluded"].get<bool>());
    if (!name.ends_with('/')) {
      EXPECT_EQ(excluded_in_a_walk(matcher, name), vector["excluded"].get<bool>());
    }
  }
  EXPECT_GT(count, 120U);
}

bool excludes(std::string_view file, std::string_view path) {
  return IgnoreMatcher(read_ignore_patterns(file)).excludes(path);
}

TEST(Ignore, ReadsTheFileAsItsReferenceDoes) {
  EXPECT_EQ(read_ignore_patterns("\xef\xbb\xbf# comment\n\n  a/  \r\n/b\n! /c/d/\n #x\n./e/../f"),
            (std::vector<std::string>{"a", "b", "!c/d", "#x", "f"}));
  EXPECT_TRUE(excludes("/build", "build/x"));
  EXPECT_FALSE(excludes("build", "src/build"));
  EXPECT_TRUE(excludes("**/build", "src/build/o"));
}

TEST(Ignore, LastMatchWins) {
  const std::string file = "*.md\n!README*.md\nREADME-secret.md\n";
  EXPECT_TRUE(excludes(file, "a.md"));
  EXPECT_FALSE(excludes(file, "README.md"));
  EXPECT_TRUE(excludes(file, "README-secret.md"));
}

TEST(Ignore, BringsBackBelowAnExcludedDirectory) {
  const IgnoreMatcher matcher(read_ignore_patterns("vendor\n!vendor/keep/*.c\n"));
  EXPECT_TRUE(matcher.excludes("vendor/a.c"));
  EXPECT_FALSE(matcher.excludes("vendor/keep/a.c"));
  EXPECT_TRUE(matcher.may_bring_back_below("vendor"));
  EXPECT_TRUE(matcher.may_bring_back_below("vendor/keep"));
  EXPECT_FALSE(matcher.may_bring_back_below("vendor/other"));
  EXPECT_TRUE(IgnoreMatcher({"a", "!**/x"}).may_bring_back_below("a/b/c"));
  EXPECT_FALSE(IgnoreMatcher({"a"}).may_bring_back_below("a"));
}

TEST(Ignore, MatchesNamesThatAreNoUtf8) {
  EXPECT_TRUE(excludes("a?b", "a\xff" "b"));
  EXPECT_TRUE(excludes("a\xff*", "a\xff" "b"));
}

TEST(Ignore, ShowsTheLineThatIsNoPattern) {
  try {
    parse_ignore_file(make_source(".dockerignore", "ok\na[\n"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with(".dockerignore:2:1: syntax error in pattern \"a[\"")) << error.what();
  }
}

TEST(Ignore, TakesLinearTimeForHostilePatterns) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) {
    pattern += "a*";
  }
  EXPECT_FALSE(IgnoreMatcher({pattern + "b"}).excludes(std::string(4000, 'a')));
}

}  // namespace
}  // namespace jigsaw::build
