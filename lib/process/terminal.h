// Terminal: the user's side of a pseudo-terminal (pty(7)).
//
// A program with a terminal of its own gets the slave of a pty; we hold the master and stand between it and the user's
// terminal, which is put into raw mode meanwhile: Ctrl-C is then a byte that the program's terminal turns into SIGINT.
//
//     user's terminal (raw) --stdin--> us --master--> slave: the program's stdin
//                           <-stdout-- us <--master-- slave: the program's stdout and stderr
#pragma once

#include <termios.h>

#include <optional>

#include "base/fd.h"

namespace jigsaw::process {

// Puts the terminal at `fd` into raw mode until destruction; does nothing if it is no terminal.
class RawMode {
 public:
  explicit RawMode(int fd);
  ~RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

 private:
  int fd_;
  std::optional<termios> former_;
};

// Gives the terminal behind `master` the size of the one at `fd`, if that is one.
void copy_window_size(int fd, int master);

// Copies between stdin/stdout and a pty's master, when poll(2) says that there is something to copy.
class Relay {
 public:
  Relay(int input, int output, int master) : input_(input), output_(output), master_(master) {}
  // The descriptors to poll for reading; -1 for those that are closed.
  int input() const { return input_open_ ? input_ : -1; }
  int master() const { return master_open_ ? master_ : -1; }
  void input_ready();   // moves what was typed to the program
  void master_ready();  // moves what was printed to the user
  // After the program's end: what is still in the terminal's buffer.
  void drain();

 private:
  int input_;
  int output_;
  int master_;
  bool input_open_ = true;
  bool master_open_ = true;
};

}  // namespace jigsaw::process
