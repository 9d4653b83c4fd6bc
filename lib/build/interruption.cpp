#include "build/interruption.h"

#include <atomic>
#include <ctime>
#include <iterator>

#include "base/flags.h"

namespace jigsaw::build {
namespace {

std::atomic<int> g_signal = 0;
std::atomic<time_t> g_when = 0;

time_t now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec;
}

void note(int number) {
  if (g_signal == 0) {
    g_when = now();
    g_signal = number;
  } else if (now() > g_when + 1) {
    ::signal(number, SIG_DFL);
    ::raise(number);
  }
}

}  // namespace

Interruption::Interruption() {
  struct sigaction action {};
  action.sa_handler = note;  // without SA_RESTART: who waits wakes up
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    ::sigaction(kSignals[i], nullptr, &former_[i]);
    if (former_[i].sa_handler != SIG_IGN) {
      ::sigaction(kSignals[i], &action, nullptr);
    }
  }
}

Interruption::~Interruption() {
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    ::sigaction(kSignals[i], &former_[i], nullptr);
  }
}

bool Interruption::came() { return g_signal != 0; }

void Interruption::check() {
  if (came()) {
    throw error();
  }
}

Error Interruption::error() {
  return fail("interrupted by {}", flags::signal_name(g_signal)).with_hint("the finished steps are kept: the next build goes on from there")
      .with_code(128 + g_signal);
}

}  // namespace jigsaw::build
