#include "process/terminal.h"

#include <poll.h>
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

void Relay::input_ready() {
  char buffer[4096];
  const ssize_t got = ::read(input_, buffer, sizeof buffer);
  if (got > 0) {
    files::write_all(master_, std::string_view(buffer, static_cast<size_t>(got)), "the program's terminal");
  } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
    input_open_ = false;
    // A terminal has no end of file, but a character that says so.
    const char end_of_file = 4;
    files::write_all(master_, std::string_view(&end_of_file, 1), "the program's terminal");
  }
}

void Relay::master_ready() {
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
    master_ready();
  }
}

}  // namespace jigsaw::process
