// The live picture of a build on a terminal: finished steps scroll away as lines, those that run are redrawn below them.
//
//      => CACHED [build 1/3] WORKDIR /src                                        written once
//      => [build 2/3] RUN make                                          4.1s
//     [+] 6.3s, 2 steps done                                                        the frame: drawn again and again
//      => [build 3/3] RUN make test                                     2.2s
//         | 17 tests, all well
//
// A frame is one write: up to the first line of the frame before, each line anew with the rest of it erased, then
// whatever is left below (ECMA-48: CUU, EL, ED). Nothing is erased first, so nothing flickers; the cursor is hidden within
// the write alone, so nobody who is killed leaves it hidden. Pure: events and a clock in, bytes out.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "build/events.h"

namespace jigsaw::build {

struct ScreenSize {
  size_t columns = 80;
  size_t rows = 24;
};

class Screen {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Colours { kOn, kOff };
  Screen(Colours colours, Time start) : colours_(colours), start_(start) {}

  void take(const Event& event, Time now);
  bool runs() const { return !running_.empty(); }
  enum class Frame { kLive, kNone };  // kNone: the lines that stay, and nothing below them
  // What brings the terminal from the last frame to the present; "" if it shows that already.
  std::string draw(ScreenSize size, Time now, Frame frame);

 private:
  struct Step {
    std::string where, text;
    Time start;
    std::deque<std::string> output;
  };
  struct Line {
    std::string text;
    std::string right;        // at the right edge: a time
    const char* style = "";
    bool cut = true;          // to the width of the terminal
  };
  Line step_line(std::string text, double seconds, const char* style) const;
  void end_step(const Event& event, std::string_view word, const char* style, Time now);
  std::vector<Line> frame_lines(ScreenSize size, Time now) const;
  std::string shown(const Line& line, size_t columns) const;

  Colours colours_;
  Time start_;
  std::map<std::pair<std::string, size_t>, Step> running_;  // by stage and number
  size_t done_ = 0;
  std::vector<Line> lasting_;         // not written yet
  std::vector<std::string> frame_;    // the lines of the last one, without colours
  std::string written_;               // and its bytes
};

// Columns that UTF-8 text takes on a terminal, and as much of it as fits in so many.
size_t columns_of(std::string_view text);
std::string cut_to_columns(std::string_view text, size_t columns);

}  // namespace jigsaw::build
