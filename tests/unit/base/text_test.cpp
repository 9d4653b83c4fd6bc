#include "base/text.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace jigsaw {
namespace {

TEST(Text, NumbersAreWholeOrRefused) {
  EXPECT_EQ(text::to_u64("18446744073709551615"), UINT64_MAX);
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "1x", "0x1", "18446744073709551616"}) {
    EXPECT_FALSE(text::to_u64(bad)) << bad;
  }
}

TEST(Text, WhatStrangersWroteDoesNotMoveTheCursor) {
  EXPECT_EQ(text::printable_lines("a\tb\nc\033[2J\r\x7f\u009b1m \u00e9\u2014"), "a b\nc?[2J???1m \u00e9\u2014");
  EXPECT_EQ(text::printable_line("a\nb\xc2"), "a?b\xc2");
}

TEST(Text, SizesTakeDockersUnits) {
  EXPECT_EQ(text::parse_size("65536", "memory"), 65536U);
  EXPECT_EQ(text::parse_size("64k", "memory"), 65536U);
  EXPECT_EQ(text::parse_size("1.5M", "memory"), 1572864U);
  EXPECT_EQ(text::parse_size("2GiB", "memory"), 2147483648U);
  for (const char* bad : {"", "m", "1x", "-5m", "1e3", "99999999999t", "1m1m", "1 m"}) {
    EXPECT_THROW(text::parse_size(bad, "memory"), Error) << bad;
  }
}

TEST(Text, DurationsAreGos) {
  using namespace std::chrono_literals;
  EXPECT_EQ(text::parse_duration("1h2m3.5s", "time"), 1h + 2min + 3500ms);
  EXPECT_EQ(text::parse_duration("300ms", "time"), 300ms);
  EXPECT_THROW(text::parse_duration("5", "time"), Error);
  EXPECT_THROW(text::parse_duration("s", "time"), Error);
}

TEST(Text, TimesSurviveTheWayThere) {
  const auto time = text::parse_rfc3339("2024-05-01T10:20:30.123456789Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(text::rfc3339(*time), "2024-05-01T10:20:30.123456789Z");
  EXPECT_EQ(text::parse_rfc3339("2024-05-01T12:20:30+02:00"), text::parse_rfc3339("2024-05-01T10:20:30Z"));
  EXPECT_FALSE(text::parse_rfc3339("yesterday"));
}

TEST(Text, ClosestFindsSlipsOnly) {
  const std::vector<std::string> names = {"run", "pull", "push", "images"};
  EXPECT_EQ(text::closest("rum", names), "run");
  EXPECT_EQ(text::closest("imagse", names), "images");
  EXPECT_FALSE(text::closest("frobnicate", names));
  const std::vector<std::string> flags = {"--memory-swap", "--memory", "--env", "--env-file", "--rm"};
  EXPECT_EQ(text::closest("--mem", flags), "--memory") << "the shortest that goes on so, although --rm is nearer";
  EXPECT_EQ(text::closest("--mr", flags), "--rm");
  EXPECT_EQ(text::closest("--environment", flags), "--env") << "the longest that begins so";
  EXPECT_FALSE(text::closest("--x", flags));
}

TEST(Text, QuotedShowsControlBytes) { EXPECT_EQ(text::quoted("a\n\x1b\"b"), "\"a\\n\\x1b\\\"b\""); }

}  // namespace
}  // namespace jigsaw
