// What a build tells while it works: one event a fact, handed to a sink that the program chooses: plain lines, JSON, or
// the live picture of a terminal (live_sink.h).
//
// Stages that are built side by side are processes of their own: each formats its events and writes whole lines, so
// they mix by line and never within one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace jigsaw::build {

struct Event {
  enum class Kind { kStep, kCached, kDone, kOutput, kFailed, kNote, kExplain };
  Kind kind = Kind::kNote;
  std::string stage;  // "build", "stage-1", "" for the build as a whole
  size_t step = 0;    // from 1, of `steps`; 0 for none
  size_t steps = 0;
  std::string text;      // the instruction, a line of output, a note
  double seconds = 0;    // kDone
  uint64_t layer_bytes = 0;  // kDone, kCached: of the layer's blob
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void tell(const Event& event) = 0;
  // Returns once all that was told is shown and the terminal is free for somebody else: until the next step begins, or
  // for good.
  enum class Until { kNextStep, kEnd };
  virtual void hand_over(Until) {}
};

enum class Progress { kAuto, kPlain, kTty, kJson, kQuiet };
// "auto", "plain", "tty", "json" or "quiet". Throws.
Progress parse_progress(std::string_view text);
std::unique_ptr<EventSink> make_sink(Progress progress, int fd);

}  // namespace jigsaw::build
