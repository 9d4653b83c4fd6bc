#include "build/output_relay.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <deque>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "process/spawn.h"

namespace jigsaw::build {
namespace {

constexpr size_t kLineLimit = 4096;  // bytes
constexpr size_t kKeptLines = 20;

class Lines {
 public:
  Lines(EventSink* events, Event pattern) : events_(events), pattern_(std::move(pattern)) {
    pattern_.kind = Event::Kind::kOutput;
  }

  void add(std::string_view bytes) {
    for (const char byte : bytes) {
      if (byte == '\n' || line_.size() >= kLineLimit) {
        flush();
      }
      if (byte != '\n') {
        line_ += byte;
      }
    }
  }

  void flush() {
    // A carriage return means "this line again": what counts is what is behind the last one.
    if (line_.ends_with('\r')) {
      line_.pop_back();
    }
    if (const size_t again = line_.rfind('\r'); again != std::string::npos) {
      line_.erase(0, again + 1);
    }
    line_ = text::printable_line(line_);
    shown_ += line_.size() + 1;
    if (events_ != nullptr && shown_ <= kOutputLimit) {
      pattern_.text = line_;
      events_->tell(pattern_);
    } else if (events_ != nullptr && !cut_) {
      cut_ = true;
      pattern_.text = fmt::format("[more than {} of output: the rest is not shown]", text::human_size(kOutputLimit));
      events_->tell(pattern_);
    }
    kept_.push_back(std::move(line_));
    line_.clear();
    if (kept_.size() > kKeptLines) {
      kept_.pop_front();
    }
  }

  std::string finish() {
    if (!line_.empty()) {
      flush();
    }
    std::string text;
    for (const std::string& line : kept_) {
      text += line + "\n";
    }
    return text;
  }

 private:
  EventSink* events_;
  Event pattern_;
  std::string line_;
  std::deque<std::string> kept_;
  size_t shown_ = 0;
  bool cut_ = false;
};

int relay(int from, int to, Lines lines) {
  static char buffer[64 << 10];
  while (true) {
    const ssize_t got = ::read(from, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      break;
    }
    lines.add({buffer, static_cast<size_t>(got)});
  }
  files::write_all(to, lines.finish(), "the last lines of output");
  return 0;
}

}  // namespace

OutputRelay::OutputRelay(EventSink* events, Event pattern) {
  Pipe output = make_pipe();
  Pipe kept = make_pipe();
  process::Child child = process::spawn(
      {.why = "it reads what the RUN prints while we wait for the RUN"}, [&](process::Gate&) -> int {
        ::signal(SIGPIPE, SIG_IGN);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
          ::signal(number, SIG_IGN);  // they end the RUN; then its output ends
        }
        output.write_end.reset();
        kept.read_end.reset();
        return relay(output.read_end.get(), kept.write_end.get(), Lines(events, std::move(pattern)));
      });
  child.release();
  child.detach();  // it ends with the pipe; waiting for the container reaps it
  write_end_ = std::move(output.write_end);
  kept_ = std::move(kept.read_end);
}

OutputRelay::Redirection::Redirection(int pipe) {
  const Fd nothing = files::open("/dev/null", O_RDONLY);
  for (int i = 0; i < 3; ++i) {
    if (::fcntl(i, F_GETFD) >= 0) {
      saved_[i] = duplicate(i);
    }
    check(::dup2(i == 0 ? nothing.get() : pipe, i), "give a RUN its standard streams");
  }
}

OutputRelay::Redirection::~Redirection() {
  for (int i = 0; i < 3; ++i) {
    if (saved_[i]) {
      ::dup2(saved_[i].get(), i);
    } else {
      ::close(i);
    }
  }
}

std::vector<std::string> OutputRelay::finish() {
  write_end_.reset();
  const std::string text = files::read_fd(kept_.get(), "the last lines of output");
  std::vector<std::string> result;
  for (const std::string_view line : text::lines(text)) {
    result.emplace_back(line);
  }
  return result;
}

}  // namespace jigsaw::build
