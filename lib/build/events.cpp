#include "build/events.h"

#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/explain.h"
#include "base/json.h"
#include "base/text.h"
#include "build/live_sink.h"

namespace jigsaw::build {
namespace {

void write_line(int fd, const std::string& text) {
  // One write: lines of stages that are built side by side do not mix. Nobody listening is no reason to fail.
  [[maybe_unused]] const ssize_t written = ::write(fd, text.data(), text.size());
}

std::string position(const Event& event) {
  std::string text = event.stage;
  if (event.step != 0) {
    text += fmt::format("{}{}/{}", text.empty() ? "" : " ", event.step, event.steps);
  }
  return text.empty() ? "" : "[" + text + "] ";
}

class PlainSink : public EventSink {
 public:
  PlainSink(int fd, const char* dim, const char* bold, const char* red, const char* off)
      : fd_(fd), dim_(dim), bold_(bold), red_(red), off_(off) {}

  void tell(const Event& event) override {
    const std::string where = position(event);
    switch (event.kind) {
      case Event::Kind::kStep:
        return write_line(fd_, fmt::format("{}{}{}{}\n", bold_, where, text::printable_line(event.text), off_));
      case Event::Kind::kCached:
        return write_line(fd_, fmt::format("{}{}{} CACHED{}\n", dim_, where, text::printable_line(event.text), off_));
      case Event::Kind::kDone:
        if (event.seconds < 0.05 && event.layer_bytes < 4096) {
          return;  // not worth a line
        }
        return write_line(fd_, fmt::format("{}{}done in {:.1f}s, layer of {}{}\n", dim_, where, event.seconds,
                                           text::human_size(event.layer_bytes), off_));
      case Event::Kind::kOutput:
        return write_line(fd_, fmt::format("{}{}{}{}\n", dim_, where, off_, event.text));
      case Event::Kind::kFailed:
        return write_line(fd_, fmt::format("{}{}{} FAILED{}\n", red_, where, text::printable_line(event.text), off_));
      case Event::Kind::kExplain:
        return write_line(fd_, fmt::format("{}  cache: {}\n", where, event.text));
      case Event::Kind::kNote:
        return write_line(fd_, fmt::format("{}{}\n", where, event.text));
    }
  }

 private:
  int fd_;
  const char *dim_, *bold_, *red_, *off_;
};

class JsonSink : public EventSink {
 public:
  explicit JsonSink(int fd) : fd_(fd) {}
  void tell(const Event& event) override {
    static constexpr const char* kNames[] = {"step", "cached", "done", "output", "failed", "note", "explain"};
    json::Value line = {{"event", kNames[static_cast<size_t>(event.kind)]}};
    if (!event.stage.empty()) {
      line["stage"] = event.stage;
    }
    if (event.step != 0) {
      line["step"] = event.step;
      line["steps"] = event.steps;
    }
    line["text"] = event.text;
    if (event.kind == Event::Kind::kDone) {
      line["seconds"] = event.seconds;
      line["layer_bytes"] = event.layer_bytes;
    }
    write_line(fd_, json::dump(line) + "\n");
  }

 private:
  int fd_;
};

class QuietSink : public EventSink {
 public:
  void tell(const Event&) override {}
};

bool can_move_its_cursor(int fd) {
  const char* term = std::getenv("TERM");
  return ::isatty(fd) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

// https://no-color.org
bool wants_colours() {
  const char* no = std::getenv("NO_COLOR");
  return no == nullptr || *no == '\0';
}

}  // namespace

Progress parse_progress(std::string_view text) {
  static const std::vector<std::string> kNames = {"auto", "plain", "tty", "json", "quiet"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) {
      return static_cast<Progress>(i);
    }
  }
  if (text == "rawjson") {
    return Progress::kJson;
  }
  throw fail("--progress must be {}, not '{}'{}", text::join(kNames, ", "), text, text::did_you_mean(text, kNames));
}

std::unique_ptr<EventSink> make_sink(Progress progress, int fd) {
  if (progress == Progress::kQuiet) {
    return std::make_unique<QuietSink>();
  }
  if (progress == Progress::kJson) {
    return std::make_unique<JsonSink>(fd);
  }
  const bool is_terminal = can_move_its_cursor(fd);
  if (is_terminal && progress != Progress::kPlain && !explain::on()) {
    return std::make_unique<LiveSink>(fd, wants_colours() ? Screen::Colours::kOn : Screen::Colours::kOff);
  }
  if (progress == Progress::kTty && wants_colours()) {
    return std::make_unique<PlainSink>(fd, "\033[2m", "\033[1m", "\033[31m", "\033[0m");
  }
  return std::make_unique<PlainSink>(fd, "", "", "", "");
}

}  // namespace jigsaw::build
