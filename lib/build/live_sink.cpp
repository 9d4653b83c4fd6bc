#include "build/live_sink.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace jigsaw::build {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick{100};          // seconds move on
constexpr milliseconds kLeast{40};          // between two frames, however much is printed
constexpr int kHandOver = 100;              // a packet of this kind asks for an answer
constexpr size_t kPacketLimit = 128 << 10;  // bytes

std::string packet_of(int kind, const Event& event) {
  return json::dump({{"kind", kind}, {"stage", event.stage}, {"step", event.step}, {"steps", event.steps},
                     {"text", event.text}, {"seconds", event.seconds}, {"bytes", event.layer_bytes}});
}

ScreenSize size_of(int terminal) {
  winsize size{};
  if (::ioctl(terminal, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {.columns = size.ws_col, .rows = size.ws_row};
}

class Drawer {
 public:
  Drawer(int socket, int terminal, Screen::Colours colours)
      : socket_(socket), terminal_(terminal), screen_(colours, Clock::now()) {}

  int run() {
    while (true) {
      const auto since = std::chrono::duration_cast<milliseconds>(Clock::now() - drawn_);
      const milliseconds wait = since < kLeast ? kLeast - since : kTick;
      pollfd ready{socket_, POLLIN, 0};
      const int found = ::poll(&ready, 1, screen_.runs() || since < kLeast ? static_cast<int>(wait.count()) : -1);
      if (found > 0 && !receive()) {
        draw(Screen::Frame::kNone);
        return 0;
      }
      if (Clock::now() - drawn_ >= kLeast) {
        draw(frame_);
      }
    }
  }

 private:
  // Everything that has arrived. False once nobody is left who could send.
  bool receive() {
    static char buffer[kPacketLimit];
    while (true) {
      const ssize_t got = ::recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (got < 0) {
        return errno == EAGAIN || errno == EINTR;
      }
      if (got == 0) {
        return false;
      }
      take({buffer, static_cast<size_t>(got)});
      if (Clock::now() - drawn_ >= kTick) {
        return true;  // a flood: the screen goes on all the same
      }
    }
  }

  void take(std::string_view packet) {
    const json::Document document(std::string(packet), "an event of the build");
    const json::View root = document.root();
    const auto kind = static_cast<int>(root.at("kind").unsigned_integer());
    if (kind == kHandOver) {
      for_good_ = for_good_ || root.at("step").unsigned_integer() != 0;
      frame_ = Screen::Frame::kNone;
      draw(frame_);
      [[maybe_unused]] const ssize_t sent = ::send(socket_, "", 1, MSG_NOSIGNAL);
      return;
    }
    const Event event{.kind = static_cast<Event::Kind>(kind),
                      .stage = root.at("stage").string(),
                      .step = root.at("step").unsigned_integer(),
                      .steps = root.at("steps").unsigned_integer(),
                      .text = root.at("text").string(),
                      .seconds = root.at("seconds").number(),
                      .layer_bytes = root.at("bytes").unsigned_integer()};
    if (event.kind == Event::Kind::kStep && !for_good_) {
      frame_ = Screen::Frame::kLive;
    }
    screen_.take(event, Clock::now());
  }

  void draw(Screen::Frame frame) {
    const std::string text = screen_.draw(size_of(terminal_), Clock::now(), frame);
    drawn_ = Clock::now();
    try {
      files::write_all(terminal_, text, "the terminal");
    } catch (const Error&) {
      // A terminal that is gone is no reason to fail.
    }
  }

  int socket_;
  int terminal_;
  Screen screen_;
  Screen::Frame frame_ = Screen::Frame::kLive;
  bool for_good_ = false;
  Clock::time_point drawn_{};
};

}  // namespace

LiveSink::LiveSink(int terminal, Screen::Colours colours) {
  int ends[2];
  check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "make a pair of sockets");
  socket_ = Fd(ends[0]);
  Fd theirs(ends[1]);
  screen_.emplace(process::spawn({.why = "it draws what the build tells, while we build"}, [&](process::Gate&) -> int {
    // It ends after those who tell it something; drawing from the background is no reason to be stopped.
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTTOU}) {
      ::signal(number, SIG_IGN);
    }
    socket_.reset();
    return Drawer(theirs.get(), terminal, colours).run();
  }));
  screen_->release();
}

LiveSink::~LiveSink() {
  socket_.reset();
  pollfd end{screen_->pidfd(), POLLIN, 0};
  while (::poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
  siginfo_t gone{};
  ::waitid(P_PIDFD, static_cast<id_t>(screen_->pidfd()), &gone, WEXITED | WNOHANG);  // unless a RUN's end has reaped it
  screen_->detach();
}

void LiveSink::tell(const Event& event) {
  const std::string packet = packet_of(static_cast<int>(event.kind), event);
  while (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

void LiveSink::hand_over(Until until) {
  tell({.kind = static_cast<Event::Kind>(kHandOver), .step = until == Until::kEnd ? size_t{1} : size_t{0}});
  char answer = 0;
  while (::recv(socket_.get(), &answer, 1, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace jigsaw::build
