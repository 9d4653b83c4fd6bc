#include "base/interruption.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <iterator>
#include <thread>

#include "base/flags.h"

namespace jigsaw {
namespace {

std::atomic<int> g_signal = 0;
std::atomic<time_t> g_when = 0;
std::atomic<const char*> g_hint = "";

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

Interruption::Interruption(const char* hint) {
  g_hint = hint;
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
  return fail("interrupted by {}", flags::signal_name(g_signal)).with_hint(g_hint.load()).with_code(128 + g_signal);
}

void Interruption::sleep(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (auto left = time; left.count() > 0; left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now())) {
    check();
    std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(100)));
  }
  check();
}

}  // namespace jigsaw
