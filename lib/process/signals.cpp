#include "process/signals.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "base/error.h"
#include "base/explain.h"
#include "base/flags.h"
#include "process/terminal.h"

namespace jigsaw::process {
namespace {

sigset_t forwarded_signals() {
  sigset_t set;
  sigfillset(&set);
  // Faults are ours to die of; the terminal's stop signals must stay default or a background read would spin.
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS, SIGTTIN, SIGTTOU, SIGURG, SIGPIPE}) {
    sigdelset(&set, number);
  }
  return set;
}

// What the terminal tells all of its foreground processes: the kernel has sent it to the child too.
bool told_by_terminal(const signalfd_siginfo& received, const Child& child) {
  const auto number = static_cast<int>(received.ssi_signo);
  const bool keys = number == SIGINT || number == SIGQUIT || number == SIGTSTP || number == SIGWINCH;
  return keys && received.ssi_code == SI_KERNEL && ::getpgid(child.pid()) == ::getpgrp();
}

bool is_request_to_end(int number) {
  return number == SIGHUP || number == SIGINT || number == SIGQUIT || number == SIGTERM;
}

// Reaps whoever has ended. Returns true once that is `child`, which is left to its wait().
bool reap(const Child& child) {
  while (true) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
      return false;
    }
    if (info.si_pid == child.pid()) {
      return true;
    }
    const pid_t rc = ::waitpid(info.si_pid, nullptr, 0);
    explain::tell(rc, "an orphan fell to us: reap it, or it stays a zombie", [&] {
      return explain::Call{"wait4", fmt::format("{}, …, 0, NULL", info.si_pid), ""};
    });
  }
}

// Gives the signal that was answered by the child's end, or 0.
int hand_on(int signals, const Child& child, const SuperviseOptions& options) {
  signalfd_siginfo received{};
  const ssize_t got = ::read(signals, &received, sizeof received);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
    return 0;
  }
  check(got, "wait for a signal");
  const int number = static_cast<int>(received.ssi_signo);
  if (options.requests == SuperviseOptions::Requests::kEnd && is_request_to_end(number)) {
    sys::send_signal(child.pidfd(), SIGKILL, "we are asked to end: the program must not live on");
    return number;
  }
  if (number == SIGWINCH && options.terminal >= 0) {
    copy_window_size(STDIN_FILENO, options.terminal);
  } else if (number != SIGCHLD && !told_by_terminal(received, child)) {
    sys::send_signal(child.pidfd(), number, "we stand in the program's place: what is sent to us is meant for it");
  }
  if (number == SIGTSTP) {
    ::raise(SIGSTOP);  // Ctrl-Z: the shell waits for us to stop too; its SIGCONT comes here and is handed on
  }
  return 0;
}

}  // namespace

void restore_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) {
    ::sigaction(number, &action, nullptr);  // refused for SIGKILL, SIGSTOP and glibc's own two
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

SignalGuard::SignalGuard() {
  const sigset_t set = forwarded_signals();
  check(::sigprocmask(SIG_BLOCK, &set, &former_), "block signals");
}

SignalGuard::~SignalGuard() { ::sigprocmask(SIG_SETMASK, &former_, nullptr); }

ExitStatus supervise(Child& child, const SuperviseOptions& options) {
  const sigset_t set = forwarded_signals();
  const Fd signals(check(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "watch for signals"));
  std::optional<Relay> relay;
  if (options.terminal >= 0) {
    relay.emplace(STDIN_FILENO, STDOUT_FILENO, options.terminal);
  }
  int ended_by = 0;
  // Reap before waiting: the child may have ended before the descriptor existed, and one SIGCHLD may stand for many.
  while (!reap(child)) {
    const pollfd nothing{-1, 0, 0};
    pollfd watched[] = {{signals.get(), POLLIN, 0}, relay ? relay->master() : nothing, relay ? relay->input() : nothing};
    if (::poll(watched, 3, -1) < 0 && errno != EINTR) {
      throw system_error(errno, "wait for a signal");
    }
    if (watched[1].revents != 0) {
      relay->master_ready(watched[1].revents);
    }
    if (watched[2].revents != 0) {
      relay->input_ready();
    }
    if (watched[0].revents != 0) {
      const int number = hand_on(signals.get(), child, options);
      ended_by = ended_by == 0 ? number : ended_by;
    }
  }
  if (relay) {
    relay->drain();
  }
  if (ended_by != 0) {
    ::raise(ended_by);
  }
  return child.wait();
}

}  // namespace jigsaw::process
