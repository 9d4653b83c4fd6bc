// Fd: a file descriptor with one owner. Every descriptor in this project is close-on-exec from birth; what a
// container's program may inherit is chosen explicitly, never left over (CVE-2024-21626 is a left-over).
#pragma once

#include <string_view>
#include <utility>

namespace jigsaw {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int number) : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }
  void reset();

 private:
  int number_ = -1;
};

// A second descriptor for the same open file, close-on-exec.
Fd duplicate(int fd);

struct Pipe {
  Fd read_end;
  Fd write_end;
};
Pipe make_pipe();

}  // namespace jigsaw
