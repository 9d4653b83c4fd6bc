// exec: finding a program as a shell does, and becoming it.
#pragma once

#include <string>
#include <vector>

#include "base/sys.h"

namespace jigsaw::process {

struct Program {
  std::vector<std::string> arguments;    // [0] is the name, looked for in PATH unless it holds a slash
  std::vector<std::string> environment;  // "NAME=value"
  std::string file;                      // the file to execute, if it is known already; arguments[0] is only its name then
  int output = -1;                       // what becomes the program's standard output, if not ours
};

// The file that `name` stands for: itself if it holds a '/', else the first executable one in the PATH of
// `environment`, a PATH of its own if there is none. Throws with exit code 127 if there is none, 126 if it is there but
// not executable. Paths are looked up in the root and directory of the calling process.
std::string find_program(const std::string& name, const std::vector<std::string>& environment);

// find_program() and execve(2). Puts signal dispositions and the signal mask back to the default first, so that the
// program does not inherit ours (POSIX lets an ignored signal stay ignored across exec).
[[noreturn]] void exec(const Program& program, sys::Why why = "the child becomes the program");

// The value of NAME in a list of "NAME=value", or nothing.
const std::string* find_variable(const std::vector<std::string>& environment, std::string_view name);
// Sets NAME=value in `environment`, in the place of a former value. A word without "=" takes the value that we have
// ourselves and is left out if we have none, as docker run --env does. Throws if the name is empty.
void set_variable(std::vector<std::string>& environment, const std::string& assignment);
// The assignments of a file, in order: a line each, "NAME=value" or "NAME" as set_variable() takes them; empty lines and those that
// begin with '#' are none. The value is all that follows, quotes too, as docker run --env-file reads it. Throws if a name has blanks.
std::vector<std::string> read_assignments(const std::string& path);
// Those of all `files`, then `assignments`, which count more.
std::vector<std::string> with_assignments_of(const std::vector<std::string>& files, std::vector<std::string> assignments);
// What a program in a container starts with: a PATH, HOME=/root, our TERM, and `assignments` as set_variable() takes
// them. Nothing else of ours goes in.
std::vector<std::string> container_environment(const std::vector<std::string>& assignments);
// The calling process's own environment.
std::vector<std::string> current_environment();

inline constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace jigsaw::process
