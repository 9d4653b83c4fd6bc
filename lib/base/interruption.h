// Ctrl-C, and whoever else asks a long work to end (SIGINT, SIGTERM, SIGHUP; signal(7)).
//
// While an Interruption lives these signals do not kill us: they are noted, and the work throws at the next check(), so
// that everything is taken down in order and what is finished stays. A build's command is killed at once (runtime::run).
// Who asks again after a second is not kept waiting: then the signal kills.
#pragma once

#include <signal.h>

#include <chrono>

#include "base/error.h"

namespace jigsaw {

class Interruption {
 public:
  // `hint` is the error's: what stays. Those of the signals that are ignored (nohup(1)) stay so.
  explicit Interruption(const char* hint);
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  static bool came();
  // Throws error() if one came.
  static void check();
  // "interrupted by SIGINT", with the exit code 128 + its number. Use if came().
  static Error error();
  // Sleeps; throws error() as soon as one comes.
  static void sleep(std::chrono::milliseconds time);

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction former_[3];
};

}  // namespace jigsaw
