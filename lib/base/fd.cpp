#include "base/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"

namespace jigsaw {

void Fd::reset() {
  if (number_ >= 0) {
    ::close(number_);
    number_ = -1;
  }
}

Fd duplicate(int fd) { return Fd(check(::fcntl(fd, F_DUPFD_CLOEXEC, 3), "duplicate fd {}", fd)); }

Pipe make_pipe() {
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC), "make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

}  // namespace jigsaw
