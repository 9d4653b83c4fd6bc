#include "build/screen.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::build {
namespace {

constexpr size_t kOutputLines = 5;  // of each step that runs
constexpr const char* kDim = "2";
constexpr const char* kBold = "1";
constexpr const char* kRed = "31";

struct Character {
  size_t bytes;
  size_t columns;
};

bool is_between(uint32_t code, uint32_t first, uint32_t last) { return code >= first && code <= last; }

// Wide ones take two columns (East Asian Width W and F, emoji), combining ones none.
size_t width_of(uint32_t code) {
  if (is_between(code, 0x300, 0x36f) || is_between(code, 0x200b, 0x200f) || is_between(code, 0xfe00, 0xfe0f)) {
    return 0;
  }
  const bool wide = is_between(code, 0x1100, 0x115f) || is_between(code, 0x2e80, 0xa4cf) || is_between(code, 0xac00, 0xd7a3) ||
                    is_between(code, 0xf900, 0xfaff) || is_between(code, 0xfe30, 0xfe6f) || is_between(code, 0xff00, 0xff60) ||
                    is_between(code, 0xffe0, 0xffe6) || is_between(code, 0x1f300, 0x1faff) || is_between(code, 0x20000, 0x3fffd);
  return wide ? 2 : 1;
}

// The first one of `text`; a byte that begins none counts as one column.
Character next_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  if (bytes == 1 || bytes > text.size()) {
    return {1, 1};
  }
  uint32_t code = lead & (0x7fU >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  }
  return {bytes, width_of(code)};
}

std::string where_of(const Event& event) {
  if (event.step == 0) {
    return event.stage.empty() ? "" : "[" + event.stage + "] ";
  }
  return fmt::format("[{}{}{}/{}] ", event.stage, event.stage.empty() ? "" : " ", event.step, event.steps);
}

double seconds_between(Screen::Time from, Screen::Time to) { return std::chrono::duration<double>(to - from).count(); }

}  // namespace

size_t columns_of(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const Character next = next_character(text);
    columns += next.columns;
    text.remove_prefix(next.bytes);
  }
  return columns;
}

std::string cut_to_columns(std::string_view text, size_t columns) {
  size_t end = 0;
  size_t used = 0;
  while (end < text.size()) {
    const Character next = next_character(text.substr(end));
    if (used + next.columns > columns) {
      break;
    }
    used += next.columns;
    end += next.bytes;
  }
  return std::string(text.substr(0, end));
}

Screen::Line Screen::step_line(std::string text, double seconds, const char* style) const {
  return {.text = " => " + std::move(text), .right = fmt::format("{:.1f}s", seconds), .style = style};
}

void Screen::end_step(const Event& event, std::string_view word, const char* style, Time now) {
  const auto found = running_.find({event.stage, event.step});
  const double seconds = event.seconds > 0 || found == running_.end() ? event.seconds : seconds_between(found->second.start, now);
  lasting_.push_back(step_line(fmt::format("{}{}{}", word, where_of(event), text::printable_line(event.text)), seconds, style));
  if (found != running_.end()) {
    running_.erase(found);
  }
}

void Screen::take(const Event& event, Time now) {
  switch (event.kind) {
    case Event::Kind::kStep:
      running_[{event.stage, event.step}] = {where_of(event), text::printable_line(event.text), now, {}};
      return;
    case Event::Kind::kCached:
      ++done_;
      return end_step(event, "CACHED ", kDim, now);
    case Event::Kind::kDone:
      ++done_;
      return end_step(event, "", "", now);
    case Event::Kind::kFailed: return end_step(event, "ERROR ", kRed, now);
    case Event::Kind::kOutput:
      if (const auto found = running_.find({event.stage, event.step}); found != running_.end()) {
        found->second.output.push_back(event.text);
        if (found->second.output.size() > kOutputLines) {
          found->second.output.pop_front();
        }
      }
      return;
    case Event::Kind::kExplain:
      lasting_.push_back({.text = fmt::format("    {}cache: {}", where_of(event), event.text), .right = "", .cut = false});
      return;
    case Event::Kind::kNote:
      lasting_.push_back({.text = where_of(event) + event.text, .right = "", .cut = false});
      return;
  }
}

// What runs, with as much of its output as there is room for.
std::vector<Screen::Line> Screen::frame_lines(ScreenSize size, Time now) const {
  std::vector<Line> lines = {
      {.text = fmt::format("[+] {:.1f}s, {} {} done", seconds_between(start_, now), done_, done_ == 1 ? "step" : "steps"), .right = ""}};
  const size_t room = size.rows > 3 ? size.rows - 3 : 0;  // besides the head, and the line of the cursor
  const size_t shown_steps = std::min(running_.size(), room);
  const size_t output = shown_steps == 0 ? 0 : std::min(kOutputLines, (room - shown_steps) / shown_steps);
  size_t count = 0;
  for (const auto& [key, step] : running_) {
    if (count++ == shown_steps) {
      break;
    }
    lines.push_back(step_line(step.where + step.text, seconds_between(step.start, now), kBold));
    const size_t first = step.output.size() > output ? step.output.size() - output : 0;
    for (size_t i = first; i < step.output.size(); ++i) {
      lines.push_back({.text = "    | " + step.output[i], .right = "", .style = kDim});
    }
  }
  return lines;
}

// The last column stays free: a terminal would go to the next line there.
std::string Screen::shown(const Line& line, size_t columns) const {
  if (!line.cut) {
    return line.text;
  }
  const size_t width = columns > 1 ? columns - 1 : 1;
  const size_t right = line.right.empty() ? 0 : line.right.size() + 1;
  if (right == 0 || width < right + 8) {
    return cut_to_columns(line.text, width);
  }
  const std::string left = cut_to_columns(line.text, width - right);
  return left + std::string(width - columns_of(left) - line.right.size(), ' ') + line.right;
}

std::string Screen::draw(ScreenSize size, Time now, Frame frame) {
  const std::vector<Line> live = frame == Frame::kLive && runs() ? frame_lines(size, now) : std::vector<Line>{};
  size_t up = 0;  // a terminal that has become narrower has folded the lines of the last frame
  for (const std::string& line : frame_) {
    up += std::max<size_t>(1, (columns_of(line) + size.columns - 1) / size.columns);
  }
  std::vector<std::string> plain;
  std::string body;
  const auto add = [&](const Line& line) {
    const std::string text = shown(line, size.columns);
    const bool styled = colours_ == Colours::kOn && *line.style != '\0';
    body += styled ? fmt::format("\033[{}m{}\033[0m\033[K\n", line.style, text) : text + "\033[K\n";
    return text;
  };
  for (const Line& line : lasting_) {
    add(line);
  }
  for (const Line& line : live) {
    plain.push_back(add(line));
  }
  if (lasting_.empty() && body == written_) {
    return "";
  }
  written_ = lasting_.empty() ? body : "";
  lasting_.clear();
  frame_ = std::move(plain);
  return fmt::format("\033[?25l\r{}{}\033[J\033[?25h", up == 0 ? "" : fmt::format("\033[{}A", up), body);
}

}  // namespace jigsaw::build
