#include "build/expansion.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace jigsaw::build {
namespace {

Variables variables_of(const json::Value& object) {
  Variables variables;
  for (const auto& [name, value] : object.items()) {
    variables.set(name, value.get<std::string>());
  }
  return variables;
}

// The reference implementation's own test data (moby/buildkit frontend/dockerfile/shell, Apache-2.0).
TEST(Expansion, HoldsTheReferenceVectors) {
  const std::string path = std::string(JIGSAW_SOURCE_DIR) + "/tests/data/expansion_vectors.json";
  const json::Value data = json::parse(files::read(path), path);
  const Variables common = variables_of(data["env"]);
  size_t count = 0;
  for (const json::Value& vector : data["vectors"]) {
    const bool one_word = vector.contains("word");
    const std::string text = vector[one_word ? "word" : "words"].get<std::string>();
    const Variables variables = vector.contains("env") ? variables_of(vector["env"]) : common;
    SCOPED_TRACE(text);
    ++count;
    if (vector.value("error", false)) {
      EXPECT_THROW(expand(text, variables), Error);
    } else if (one_word) {
      EXPECT_EQ(expand(text, variables).text, vector["result"].get<std::string>());
    } else {
      EXPECT_EQ(expand(text, variables).words, vector["result"].get<std::vector<std::string>>());
    }
  }
  EXPECT_EQ(count, data["vectors"].size());
  EXPECT_GT(count, 200U);
}

std::string text_of(const std::string& text, const std::string& value) {
  return expand(text, {{"v", value}}).text;
}

TEST(Expansion, TrimsPatternsAtBothEnds) {
  EXPECT_EQ(text_of("${v#*/}", "a/b/c"), "b/c");
  EXPECT_EQ(text_of("${v##*/}", "a/b/c"), "c");
  EXPECT_EQ(text_of("${v%/*}", "a/b/c"), "a/b");
  EXPECT_EQ(text_of("${v%%/*}", "a/b/c"), "a");
  EXPECT_EQ(text_of("${v%.*}", "x.tar.gz"), "x.tar");
  EXPECT_EQ(text_of("${v%%.*}", "x.tar.gz"), "x");
  EXPECT_EQ(text_of("${v#?}", "한국어"), "국어");
  EXPECT_EQ(text_of("${v%?}", "한국어"), "한국");
  EXPECT_EQ(text_of("${v#nothing}", "abc"), "abc");
  EXPECT_EQ(text_of("${v#\\*}", "*a"), "a");
  EXPECT_EQ(text_of("${v%\\}}", "a}"), "a");
  EXPECT_THROW(text_of("${v#\\a}", "a"), Error);
  EXPECT_THROW(text_of("${v:#a}", "a"), Error);
}

TEST(Expansion, ReplacesTheFirstOrAllMatches) {
  EXPECT_EQ(text_of("${v/o/0}", "foo boo"), "f0o boo");
  EXPECT_EQ(text_of("${v//o/0}", "foo boo"), "f00 b00");
  EXPECT_EQ(text_of("${v//o/}", "foo boo"), "f b");
  EXPECT_EQ(text_of("${v/b*o/-}", "foo boo"), "foo -");
  EXPECT_EQ(text_of("${v//?o/x}", "foo boo"), "xo xo");
  EXPECT_EQ(text_of("${v/\\//:}", "a/b/c"), "a:b/c");
  EXPECT_EQ(text_of("${v//\\//:}", "a/b/c"), "a:b:c");
  EXPECT_EQ(text_of("${v///-}", "ab"), "-a-b-");
  EXPECT_THROW(text_of("${v/a}", "a"), Error);
}

TEST(Expansion, TakesDefaultsAndRefusesWhatMustBeSet) {
  const Variables none;
  EXPECT_EQ(expand("${v-w}", none).text, "w");
  EXPECT_EQ(text_of("${v-w}", ""), "");
  EXPECT_EQ(text_of("${v:-w}", ""), "w");
  EXPECT_EQ(expand("${v+w}", none).text, "");
  EXPECT_EQ(text_of("${v+w}", ""), "w");
  try {
    expand("${VERSION:?say which one}", none);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "VERSION: say which one");
  }
}

TEST(Expansion, UsesTheEscapeCharacterOfTheFile) {
  EXPECT_EQ(expand("`$v\\x", {{"v", "1"}}, {.escape = '`'}).text, "$v\\x");
  EXPECT_EQ(expand("C:\\dir\\$v", {{"v", "1"}}, {.escape = '`'}).text, "C:\\dir\\1");
}

TEST(Expansion, TellsWhichVariablesItMet) {
  const Expansion result = expand("$a $b ${c:-$d} $a", {{"a", "1"}});
  EXPECT_EQ(result.used, std::vector<std::string>{"a"});
  EXPECT_EQ(result.unset, (std::vector<std::string>{"b", "d", "c"}));
}

TEST(Expansion, LeavesQuotesAloneInHereDocuments) {
  EXPECT_EQ(expand("say \"$v\" 'n' \\$v", {{"v", "1"}}, {.ignore_quotes = true}).text, "say \"1\" 'n' $v");
}

TEST(Expansion, BoundsGrowthDepthAndPatternWork) {
  const std::string big(3U << 20, 'x');
  EXPECT_THROW(expand("$v$v", {{"v", big}}), Error);
  std::string nested;
  for (int depth = 0; depth < 100000; ++depth) {
    nested += "${a:-";
  }
  EXPECT_THROW(expand(nested, {}), Error);
  EXPECT_THROW(text_of("${v/" + std::string(4000, '?') + "*b/x}", big), Error);
  EXPECT_EQ(text_of("${v//a*b/x}", std::string(200000, 'a')), std::string(200000, 'a'));
}

TEST(Variables, KeepTheOrderOfTheirFirstSetting) {
  Variables variables = Variables::from_environment({"A=1", "B=x=y", "C"});
  variables.set("A", "2");
  EXPECT_EQ(variables.to_environment(), (std::vector<std::string>{"A=2", "B=x=y", "C="}));
  EXPECT_EQ(variables.get("B"), "x=y");
  EXPECT_FALSE(variables.get("D"));
}

}  // namespace
}  // namespace jigsaw::build
