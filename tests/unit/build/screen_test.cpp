#include "build/screen.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"

namespace jigsaw::build {
namespace {

using std::chrono::milliseconds;
using Kind = Event::Kind;

const Screen::Time kStart{};
constexpr ScreenSize kSize{.columns = 40, .rows = 24};

Event event(Kind kind, std::string text, size_t step = 1) {
  return {.kind = kind, .stage = "a", .step = step, .steps = 3, .text = std::move(text)};
}

// One frame without what hides the cursor in it and erases the rest.
std::string draw(Screen& screen, int milliseconds_on, ScreenSize size = kSize, Screen::Frame frame = Screen::Frame::kLive) {
  std::string bytes = screen.draw(size, kStart + milliseconds(milliseconds_on), frame);
  const std::string begin = "\033[?25l\r", end = "\033[J\033[?25h";
  if (bytes.empty()) {
    return bytes;
  }
  EXPECT_TRUE(bytes.starts_with(begin) && bytes.ends_with(end)) << bytes;
  bytes = bytes.substr(begin.size(), bytes.size() - begin.size() - end.size());
  for (size_t at = bytes.find("\033[K"); at != std::string::npos; at = bytes.find("\033[K")) {
    bytes.erase(at, 3);
  }
  return bytes;
}

TEST(Screen, ShowsWhatRunsAndLeavesOneLineOfIt) {
  Screen screen(Screen::Colours::kOff, kStart);
  screen.take(event(Kind::kCached, "FIRST"), kStart);
  screen.take(event(Kind::kStep, "RUN make", 2), kStart);
  screen.take(event(Kind::kOutput, "words", 2), kStart);
  EXPECT_EQ(draw(screen, 1500),
            " => CACHED [a 1/3] FIRST           0.0s\n"
            "[+] 1.5s, 1 step done\n"
            " => [a 2/3] RUN make               1.5s\n"
            "    | words\n");
  EXPECT_EQ(draw(screen, 1600), "\033[3A[+] 1.6s, 1 step done\n => [a 2/3] RUN make               1.6s\n    | words\n");
  Event done = event(Kind::kDone, "RUN make", 2);
  done.seconds = 2.0;
  screen.take(done, kStart + milliseconds(2000));
  EXPECT_EQ(draw(screen, 2000), "\033[3A => [a 2/3] RUN make               2.0s\n");
  EXPECT_EQ(draw(screen, 2100), "");
}

TEST(Screen, AFailedStepSaysSo) {
  Screen screen(Screen::Colours::kOn, kStart);
  screen.take(event(Kind::kStep, "RUN false"), kStart);
  screen.take(event(Kind::kFailed, "RUN false"), kStart + milliseconds(300));
  EXPECT_EQ(draw(screen, 300), "\033[31m => ERROR [a 1/3] RUN false        0.3s\033[0m\n");
}

TEST(Screen, HandedOverItShowsNothingThatChanges) {
  Screen screen(Screen::Colours::kOff, kStart);
  screen.take(event(Kind::kStep, "RUN make"), kStart);
  EXPECT_NE(draw(screen, 100), "");
  screen.take({.kind = Kind::kNote, .text = "a note that is not cut although it is much longer than a line"}, kStart);
  EXPECT_EQ(draw(screen, 200, kSize, Screen::Frame::kNone),
            "\033[2Aa note that is not cut although it is much longer than a line\n");
  EXPECT_EQ(draw(screen, 300, kSize, Screen::Frame::kNone), "");
}

TEST(Screen, StaysBelowTheHeightOfTheTerminal) {
  Screen screen(Screen::Colours::kOff, kStart);
  for (size_t step = 1; step <= 30; ++step) {
    screen.take(event(Kind::kStep, "RUN x", step), kStart);
    for (int line = 0; line < 10; ++line) {
      screen.take(event(Kind::kOutput, "words", step), kStart);
    }
  }
  for (const size_t rows : {1U, 2U, 3U, 4U, 10U, 24U}) {
    const std::string frame = screen.draw({.columns = 40, .rows = rows}, kStart + milliseconds(rows), Screen::Frame::kLive);
    EXPECT_LE(std::count(frame.begin(), frame.end(), '\n'), std::max<long>(1, static_cast<long>(rows) - 1));
  }
}

TEST(Screen, FindsItsFirstLineAgainWhenTheTerminalBecameNarrower) {
  Screen screen(Screen::Colours::kOff, kStart);
  screen.take(event(Kind::kStep, "RUN make"), kStart);
  draw(screen, 100, {.columns = 40, .rows = 24});   // 22 and 39 columns
  EXPECT_EQ(draw(screen, 200, {.columns = 20, .rows = 24}).substr(0, 4), "\033[4A");  // folded: two lines each
}

TEST(Screen, CutsBetweenCharacters) {
  EXPECT_EQ(columns_of("aä漢🙂"), 6U);
  EXPECT_EQ(cut_to_columns("aä漢🙂", 3), "aä");
  EXPECT_EQ(cut_to_columns("aä漢🙂", 4), "aä漢");
  EXPECT_EQ(columns_of("\xff\xc3"), 2U);
  EXPECT_EQ(cut_to_columns("e\u0301x", 1), "e\u0301");
}

}  // namespace
}  // namespace jigsaw::build
