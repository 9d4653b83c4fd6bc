#include "process/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace jigsaw::process {

RawMode::RawMode(int fd) : fd_(fd) {
  termios now{};
  if (::tcgetattr(fd, &now) != 0) {
    return;
  }
  former_ = now;
  ::cfmakeraw(&now);
  check(::tcsetattr(fd, TCSADRAIN, &now), "put the terminal into raw mode");
}

RawMode::~RawMode() {
  if (former_) {
    ::tcsetattr(fd_, TCSADRAIN, &*former_);
  }
}

void copy_window_size(int fd, int master) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0) {
    ::ioctl(master, TIOCSWINSZ, &size);
  }
}

Relay::Relay(int input, int output, int master) : input_(input), output_(output), master_(master) {
  check(::fcntl(master, F_SETFL, check(::fcntl(master, F_GETFL), "look at the program's terminal") | O_NONBLOCK),
        "prepare the program's terminal");
}

pollfd Relay::master() const {
  const int events = waiting_.empty() ? POLLIN : POLLIN | POLLOUT;
  return {master_open_ ? master_ : -1, static_cast<short>(events), 0};
}

void Relay::input_ready() {
  char buffer[4096];
  const ssize_t got = ::read(input_, buffer, sizeof buffer);
  if (got > 0) {
    waiting_.assign(buffer, static_cast<size_t>(got));
  } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
    input_open_ = false;
    waiting_ = "\4";  // a terminal has no end of file, but a character that says so
  }
  hand_over();
}

void Relay::hand_over() {
  while (!waiting_.empty()) {
    const ssize_t written = ::write(master_, waiting_.data(), waiting_.size());
    if (written > 0) {
      waiting_.erase(0, static_cast<size_t>(written));
    } else if (written == 0 || errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      waiting_.clear();  // EIO: nobody is there to read it
    }
  }
}

void Relay::master_ready(short revents) {
  if ((revents & POLLOUT) != 0) {
    hand_over();
  }
  if ((revents & ~POLLOUT) != 0) {
    show();
  }
}

void Relay::show() {
  char buffer[16384];
  const ssize_t got = ::read(master_, buffer, sizeof buffer);
  if (got > 0) {
    files::write_all(output_, std::string_view(buffer, static_cast<size_t>(got)), "standard output");
  } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
    master_open_ = false;  // EIO: the last process that had the slave is gone
  }
}

void Relay::drain() {
  pollfd watched{master_, POLLIN, 0};
  while (master_open_ && ::poll(&watched, 1, 0) > 0) {
    show();
  }
}

}  // namespace jigsaw::process
