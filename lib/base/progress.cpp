#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "base/text.h"

namespace jigsaw::progress {
namespace {

using Clock = std::chrono::steady_clock;

void write_whole(int fd, const std::string& text) {
  [[maybe_unused]] const ssize_t written = ::write(fd, text.data(), text.size());
}

class Quiet : public Reporter {
 public:
  void start(std::string_view, std::string_view, uint64_t) override {}
  void advance(std::string_view, uint64_t) override {}
  void finish(std::string_view, std::string_view) override {}
  void line(std::string_view) override {}
};

class Plain : public Reporter {
 public:
  explicit Plain(int fd) : fd_(fd) {}
  void start(std::string_view item, std::string_view what, uint64_t total) override {
    say(total > 0 ? fmt::format("{}: {} ({})\n", item, what, text::human_size(total))
                  : fmt::format("{}: {}\n", item, what));
  }
  void advance(std::string_view, uint64_t) override {}
  void finish(std::string_view item, std::string_view result) override { say(fmt::format("{}: {}\n", item, result)); }
  void line(std::string_view text) override { say(fmt::format("{}\n", text)); }

 private:
  void say(const std::string& text) {
    const std::lock_guard guard(mutex_);
    write_whole(fd_, text);
  }
  std::mutex mutex_;
  int fd_;
};

class Live : public Reporter {
 public:
  explicit Live(int fd) : fd_(fd) {}
  ~Live() override {
    const std::lock_guard guard(mutex_);
    draw(true);
  }

  void start(std::string_view item, std::string_view what, uint64_t total) override {
    const std::lock_guard guard(mutex_);
    Item& entry = find(item);
    entry.what = what;
    entry.total = total;
    entry.done = 0;
    entry.finished = false;
    entry.began = Clock::now();
    draw(true);
  }
  void advance(std::string_view item, uint64_t bytes) override {
    const std::lock_guard guard(mutex_);
    find(item).done += bytes;
    draw(false);
  }
  void finish(std::string_view item, std::string_view result) override {
    const std::lock_guard guard(mutex_);
    Item& entry = find(item);
    entry.what = result;
    entry.finished = true;
    draw(true);
  }
  void line(std::string_view text) override {
    const std::lock_guard guard(mutex_);
    erase();
    write_whole(fd_, fmt::format("{}\n", text));
    draw(true);
  }

 private:
  struct Item {
    std::string name;
    std::string what;
    uint64_t total = 0;
    uint64_t done = 0;
    bool finished = false;
    Clock::time_point began;
  };

  Item& find(std::string_view name) {
    const auto found = std::find_if(items_.begin(), items_.end(), [&](const Item& item) { return item.name == name; });
    return found != items_.end() ? *found : items_.emplace_back(Item{std::string(name), {}, 0, 0, false, Clock::now()});
  }

  std::string describe(const Item& item, size_t width) const {
    if (item.finished) {
      return fmt::format("{}: {}", item.name, item.what);
    }
    const double seconds = std::max(0.001, std::chrono::duration<double>(Clock::now() - item.began).count());
    const auto rate = static_cast<uint64_t>(static_cast<double>(item.done) / seconds);
    std::string text = fmt::format("{}: {}", item.name, item.what);
    if (item.total > 0) {
      constexpr size_t kBar = 20;
      const size_t filled = static_cast<size_t>(std::min(item.done, item.total) * kBar / item.total);
      const uint64_t left = rate > 0 && item.total > item.done ? (item.total - item.done) / rate : 0;
      text += fmt::format(" [{}{}] {}/{} {}/s {}s left", std::string(filled, '='), std::string(kBar - filled, ' '),
                          text::human_size(item.done), text::human_size(item.total), text::human_size(rate), left);
    } else if (item.done > 0) {
      text += fmt::format(" {} {}/s", text::human_size(item.done), text::human_size(rate));
    }
    return text.substr(0, width);
  }

  void erase() {
    if (drawn_ > 0) {
      write_whole(fd_, fmt::format("\033[{}A\033[J", drawn_));
      drawn_ = 0;
    }
  }

  void draw(bool now) {
    if (!now && Clock::now() - last_ < std::chrono::milliseconds(80)) {
      return;
    }
    last_ = Clock::now();
    winsize size{};
    const bool known = ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    const size_t width = known ? size.ws_col - 1U : 79;
    const size_t rows = known ? std::max(2, size.ws_row - 1) : 23;
    std::string text = drawn_ > 0 ? fmt::format("\033[{}A\033[J", drawn_) : "";
    // Lines that scrolled off can't be redrawn: when there are more items than rows, finished ones are printed for good.
    while (items_.size() > rows && items_.front().finished) {
      text += describe(items_.front(), width) + "\n";
      items_.erase(items_.begin());
    }
    drawn_ = std::min(items_.size(), rows);
    for (size_t i = 0; i < drawn_; ++i) {
      text += describe(items_[i], width) + "\n";
    }
    write_whole(fd_, text);
  }

  std::mutex mutex_;
  int fd_;
  size_t drawn_ = 0;
  Clock::time_point last_{};
  std::vector<Item> items_;
};

}  // namespace

std::unique_ptr<Reporter> make_reporter(int fd, Style style) {
  const char* terminal = ::getenv("TERM");
  if (style == Style::kQuiet) {
    return std::make_unique<Quiet>();
  }
  if (style == Style::kAuto && ::isatty(fd) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb") {
    return std::make_unique<Live>(fd);
  }
  return std::make_unique<Plain>(fd);
}

}  // namespace jigsaw::progress
