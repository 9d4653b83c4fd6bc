#include "process/spawn.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/explain.h"
#include "base/text.h"

namespace jigsaw::process {
namespace {

// The child's side from birth to exec. The one place, besides main, where exceptions end.
[[noreturn]] void run_child(Channel& channel, const Body& body) noexcept {
  int code = kExitFailure;
  try {
    const auto go = channel.receive();
    if (!go || go->kind != Channel::Kind::kGo) {
      ::_exit(kExitFailure);  // the parent died or gave up while we waited
    }
    Gate gate(channel);
    code = body(gate);
  } catch (const Error& error) {
    channel.send_error(error);
    code = error.code();
  } catch (const std::exception& problem) {
    channel.send_error(Error(problem.what()));
  }
  ::_exit(code);
}

constexpr const char* kSucceeded = "succeeded";

}  // namespace

void Gate::reach(const std::string& stop, const std::vector<int>& descriptors) {
  channel_.send_reached(stop, descriptors);
  wait();
}

std::vector<Fd> Gate::wait() {
  auto go = channel_.receive();
  if (!go || go->kind != Channel::Kind::kGo) {
    ::_exit(kExitFailure);
  }
  return std::move(go->descriptors);
}

void Gate::tell(const std::string& stop, const std::vector<int>& descriptors) {
  channel_.send_reached(stop, descriptors);
}

pid_t Gate::go_on_in_successor(sys::Why why) {
  Pipe number = make_pipe();
  sys::Cloned cloned = sys::clone3({.flags = CLONE_PARENT}, why);
  if (cloned.pid != 0) {
    // Its pid first: what holds the pipe open must be gone when the parent kills one of us.
    check(::write(number.write_end.get(), &cloned.pid, sizeof cloned.pid), "tell the successor its pid");
    channel_.send_reached(fmt::format("{} {}", kSucceeded, cloned.pid), {cloned.pidfd.get()});
    ::_exit(0);
  }
  number.write_end.reset();
  pid_t own = 0;
  const bool told = ::read(number.read_end.get(), &own, sizeof own) == sizeof own;
  const auto go = told ? channel_.receive() : std::nullopt;
  if (!go || go->kind != Channel::Kind::kGo) {
    ::_exit(kExitFailure);
  }
  return own;
}

Child::Child(Child&& other) noexcept
    : pid_(other.pid_),
      pidfd_(std::move(other.pidfd_)),
      channel_(std::move(other.channel_)),
      finished_(std::exchange(other.finished_, true)) {}

Child::~Child() {
  if (!finished_) {
    const int rc = ::kill(pid_, SIGKILL);
    explain::tell(rc, "its run has failed: the child must not live on", [&] {
      return explain::Call{"kill", fmt::format("{}, SIGKILL", pid_), fmt::format("kill -9 {}", pid_)};
    });
    ::waitpid(pid_, nullptr, 0);
  }
}

void Child::release(const std::vector<int>& descriptors) {
  if (explain::on()) {
    explain::note(fmt::format("open the gate for process {}", pid_), "its surroundings are ready");
  }
  try {
    channel_.send_go(descriptors);
  } catch (const Error& error) {
    if (error.error_number() != EPIPE) {  // it is gone: what comes next has its last words, or says how it ended
      throw;
    }
  }
}

void Child::fail_with(Channel::Message message) {
  // The child is on its way out: reap it before anything else is undone.
  ::waitpid(pid_, nullptr, 0);
  finished_ = true;
  throw Error(std::move(message.text), std::move(message.hint), message.code).with_errno(message.error_number);
}

std::vector<Fd> Child::wait_reached(const std::string& stop) {
  auto message = channel_.receive();
  if (!message) {
    throw fail("the child died before it was {}: {}", stop, wait().text());
  }
  if (message->kind == Channel::Kind::kError) {
    fail_with(std::move(*message));
  }
  if (message->text != stop) {
    throw fail("the child is {} where {} was expected", message->text, stop);
  }
  return std::move(message->descriptors);
}

void Child::wait_succeeded() {
  auto message = channel_.receive();
  if (!message) {
    throw fail("the child died before its successor was born: {}", wait().text());
  }
  if (message->kind == Channel::Kind::kError) {
    fail_with(std::move(*message));
  }
  const auto words = text::words(message->text);
  if (words.size() != 2 || words[0] != kSucceeded || message->descriptors.size() != 1) {
    throw fail("the child is {} where a successor was expected", message->text);
  }
  ::waitpid(pid_, nullptr, 0);
  pid_ = static_cast<pid_t>(text::parse_u64(words[1], "a pid", INT32_MAX));
  pidfd_ = std::move(message->descriptors.front());
}

void Child::wait_started() {
  if (auto message = channel_.receive()) {
    if (message->kind == Channel::Kind::kError) {
      fail_with(std::move(*message));
    }
    throw fail("the child stopped unexpectedly: {}", message->text);
  }
}

ExitStatus Child::wait() {
  int status = 0;
  pid_t rc = -1;
  do {
    rc = ::waitpid(pid_, &status, 0);
  } while (rc < 0 && errno == EINTR);
  explain::tell(rc, "the exit status stays in the kernel until the parent takes it", [&] {
    return explain::Call{"wait4", fmt::format("{}, [{}], 0, NULL", pid_, from_wait_status(status).text()), "wait"};
  });
  finished_ = true;
  check(rc, "wait for process {}", pid_);
  return from_wait_status(status);
}

void Child::detach() { finished_ = true; }

namespace {

// The process between: clones the child as its own sibling (CLONE_PARENT), says its number, and ends.
[[noreturn]] void lead_the_way(const SpawnOptions& options, Channel& report, Channel& theirs, const Body& body) noexcept {
  try {
    options.by_way_of();
    sys::Cloned cloned = sys::clone3({.flags = options.namespaces | CLONE_PARENT}, options.why);
    if (cloned.pid == 0) {
      report.close();
      run_child(theirs, body);
    }
    report.send_reached(std::to_string(cloned.pid), {cloned.pidfd.get()});
    ::_exit(0);
  } catch (const Error& error) {
    report.send_error(error);
  } catch (const std::exception& problem) {
    report.send_error(Error(problem.what()));
  }
  ::_exit(kExitFailure);
}

Child spawn_by_way(const SpawnOptions& options, const Body& body) {
  auto [ours, theirs] = Channel::make_pair();
  auto [heard, report] = Channel::make_pair();
  // The cgroup first: in another user namespace it may not be entered any more.
  const sys::Cloned between = sys::clone3({.cgroup = options.cgroup}, "a process that goes ahead into namespaces that we must not be in");
  if (between.pid == 0) {
    ours.close();
    heard.close();
    lead_the_way(options, report, theirs, body);
  }
  theirs.close();
  report.close();
  auto message = heard.receive();
  ::waitpid(between.pid, nullptr, 0);
  if (!message) {
    throw fail("the process that was to clone the child died");
  }
  if (message->kind == Channel::Kind::kError) {
    throw Error(std::move(message->text), std::move(message->hint), message->code).with_errno(message->error_number);
  }
  return Child(static_cast<pid_t>(std::stol(message->text)), std::move(message->descriptors.at(0)), std::move(ours));
}

}  // namespace

Child spawn(const SpawnOptions& options, const Body& body) {
  if (options.by_way_of) {
    return spawn_by_way(options, body);
  }
  auto [ours, theirs] = Channel::make_pair();
  sys::Cloned cloned = sys::clone3({.flags = options.namespaces, .cgroup = options.cgroup}, options.why);
  if (cloned.pid == 0) {
    ours.close();
    run_child(theirs, body);
  }
  theirs.close();
  return Child(cloned.pid, std::move(cloned.pidfd), std::move(ours));
}

}  // namespace jigsaw::process
