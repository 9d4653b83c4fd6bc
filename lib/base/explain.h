// --explain: the program says what it asks of the kernel, as it happens.
//
// Every wrapper in sys.h reports one action here: the call with its flags decoded, why it is made, the same thing as
// a shell command, and the kernel's answer. As text,
//
//     [4711] mount("none", "/", NULL, MS_REC|MS_PRIVATE, NULL) = 0
//            why: nothing mounted from here on may show up on the host
//            sh:  mount --make-rprivate /
//
// or, with --explain=json, one object a line with the keys pid, call, arguments, why, shell, result, error; or pid, note, why.
// Lines are written with one write(2) each, so those of a parent and its child never mix, and the descriptor is
// inherited by the child: it keeps reporting after its root is gone. When off it costs one comparison a call.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>

namespace jigsaw::explain {

enum class Format { kOff, kText, kJson };

// Starts reporting to a duplicate of `fd`. Called once, by run_main().
void start(Format format, int fd);
bool on();
Format format();
// The descriptor that is written to, or -1.
int descriptor();

// What a wrapper tells of a call: its name, its arguments as C would write them, and a shell equivalent or "".
struct Call {
  std::string name;
  std::string arguments;
  std::string shell;
};

// Reports a call that has returned; `error` is its errno if `result` is negative, else 0.
void report(const Call& call, std::string_view why, long result, int error);
// Reports a call that will not return when it succeeds (execve).
void announce(const Call& call, std::string_view why);
// Reports something that is no single system call: a step of a protocol, a decision. Secrets must be blotted out.
void note(std::string_view what, std::string_view why = {});

// Runs report() only when somebody listens; `describe` builds the Call. Keeps errno.
template <class Describe>
void tell(long result, std::string_view why, Describe describe) {
  if (on()) [[unlikely]] {
    const int error = result < 0 ? errno : 0;
    report(describe(), why, result, error);
    errno = error;
  }
}

}  // namespace jigsaw::explain
