// Errors: one exception type for the whole project.
//
// Library code throws; it never prints and never exits. A failed call is reported as verb, object, errno text:
//
//     check(::mount(...), "mount {} on {}", source, target);
//       -> "mount proc on /proc: Operation not permitted"
//
// Error crosses the clone: what a child throws before its exec is sent to the parent (process/channel.h) and
// thrown there again, so the user reads one message from one process. run_main() (cli.h) turns it into
//
//     jigsaw: error: <what>
//       hint: <how to mend it>
//
// and the process's exit code. Texts are lower case, without a full stop.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace jigsaw {

// Exit codes shared with docker run and podman run. A program's own code passes through; one that a signal
// ended gives 128 + the signal's number.
inline constexpr int kExitFailure = 125;        // the error is ours
inline constexpr int kExitNotExecutable = 126;  // the program was found but can't be executed
inline constexpr int kExitNotFound = 127;       // no such program

class Error : public std::exception {
 public:
  // `code` is the exit code of the process if nobody handles this.
  explicit Error(std::string what, std::string hint = {}, int code = kExitFailure)
      : what_(std::move(what)), hint_(std::move(hint)), code_(code) {}

  const char* what() const noexcept override { return what_.c_str(); }
  const std::string& message() const noexcept { return what_; }
  const std::string& hint() const noexcept { return hint_; }
  int code() const noexcept { return code_; }
  // The errno behind it, 0 if it was no system call that failed.
  int error_number() const noexcept { return error_number_; }

  Error&& with_hint(std::string hint) && { return hint_ = std::move(hint), std::move(*this); }
  Error&& with_code(int code) && { return code_ = code, std::move(*this); }
  Error&& with_errno(int number) && { return error_number_ = number, std::move(*this); }
  // The same error seen from further out: "pull alpine: connect: …".
  Error&& in(std::string_view context) && {
    return what_ = fmt::format("{}: {}", context, what_), std::move(*this);
  }

 private:
  std::string what_;
  std::string hint_;
  int code_;
  int error_number_ = 0;
};

// The text of an errno value, without the locale and thread questions of strerror(3).
std::string errno_text(int number);

// An Error for a failed call: "<context>: <errno text>".
Error system_error(int number, std::string_view context);

// Returns rc unless it is negative (a failed call with errno set), which throws system_error(errno, …).
template <class Result, class... Args>
Result check(Result rc, fmt::format_string<Args...> format, Args&&... args) {
  if (rc < 0) {
    const int number = errno;
    throw system_error(number, fmt::format(format, std::forward<Args>(args)...));
  }
  return rc;
}

// An Error with a formatted message: throw fail("no such image: {}", name).
template <class... Args>
Error fail(fmt::format_string<Args...> format, Args&&... args) {
  return Error(fmt::format(format, std::forward<Args>(args)...));
}

// A place in a text that a user wrote. Lines and columns count from 1; length is in bytes.
struct SourcePlace {
  std::string_view file;  // "Dockerfile"
  std::string_view text;  // the line itself, without its newline
  size_t line = 1;
  size_t column = 1;
  size_t length = 1;
};

// An Error that shows the place:
//
//     Dockerfile:3:1: unknown instruction: FRM
//       3 | FRM alpine
//         | ^^^
Error source_error(const SourcePlace& place, std::string_view message, std::string hint = {});

}  // namespace jigsaw
