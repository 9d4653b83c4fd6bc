// Progress: what long work reports while it goes on, and two ways to show it: one live line per item on a terminal,
// plain lines elsewhere. The library calls a Reporter; the program chooses which one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace jigsaw::progress {

// Receives the events of one piece of work. Thread-safe: layers are pulled by several threads.
class Reporter {
 public:
  virtual ~Reporter() = default;
  // `item` is a short name that stays the same ("5f70bf18a086"); `what` the action ("pulling"); `total` bytes, 0 if
  // unknown. Starting an item again renames its action and resets its count.
  virtual void start(std::string_view item, std::string_view what, uint64_t total) = 0;
  virtual void advance(std::string_view item, uint64_t bytes) = 0;
  virtual void finish(std::string_view item, std::string_view result) = 0;  // "pulled", "already there"
  virtual void line(std::string_view text) = 0;                            // a line of its own
};

enum class Style { kAuto, kPlain, kQuiet };
// A reporter on descriptor `fd`. kAuto shows live lines with bytes, rate and time left if fd is a terminal that can
// move its cursor (TERM is set and not "dumb"), else plain lines. Neither has colours.
std::unique_ptr<Reporter> make_reporter(int fd, Style style = Style::kAuto);

}  // namespace jigsaw::progress
