// Terminal: the user's side of a pseudo-terminal (pty(7)).
//
// A program with a terminal of its own gets the slave of a pty; we hold the master and stand between it and the user's
// terminal, which is put into raw mode meanwhile: Ctrl-C is then a byte that the program's terminal turns into SIGINT.
//
//     user's terminal (raw) --stdin--> us --master--> slave: the program's stdin
//                           <-stdout-- us <--master-- slave: the program's stdout and stderr
#pragma once

#include <poll.h>
#include <termios.h>

#include <optional>
#include <string>

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

// Copies between stdin/stdout and a pty's master, when poll(2) says that there is something to copy. A terminal holds some
// kilobytes that its program has not read yet; what is more waits here, and no further input is taken until then. To wait in
// write(2) instead would be a deadlock: a program that can't print, since nobody copies, doesn't read either.
class Relay {
 public:
  Relay(int input, int output, int master);
  // What to ask poll(2) for; the descriptor is -1 for what is closed or has to wait.
  pollfd input() const { return {input_open_ && waiting_.empty() ? input_ : -1, POLLIN, 0}; }
  pollfd master() const;
  void input_ready();                 // takes what was typed
  void master_ready(short revents);   // moves what was printed to the user, and what was typed to the program
  // After the program's end: what is still in the terminal's buffer.
  void drain();

 private:
  void hand_over();
  void show();
  int input_;
  int output_;
  int master_;
  std::string waiting_;  // typed, and not yet taken by the terminal
  bool input_open_ = true;
  bool master_open_ = true;
};

}  // namespace jigsaw::process
