#include "process/capture.h"

#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/files.h"
#include "process/spawn.h"

namespace jigsaw::process {

Captured capture(const Program& program, std::string_view input, size_t limit) {
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Child child = spawn({.why = "a program asked for one answer"}, [&](Gate&) -> int {
    check(::dup2(in.read_end.get(), STDIN_FILENO), "make the pipe standard input");
    check(::dup2(out.write_end.get(), STDOUT_FILENO), "make the pipe standard output");
    exec(program, "it answers on its standard output");
  });
  child.release();
  child.wait_started();
  in.read_end.reset();
  out.write_end.reset();
  try {
    files::write_all(in.write_end.get(), input, program.arguments.front());
  } catch (const Error&) {  // it does not want to know; its answer counts
  }
  in.write_end.reset();
  Captured captured;
  char buffer[4096];
  while (const auto got = check(::read(out.read_end.get(), buffer, sizeof(buffer)), "read from {}", program.arguments.front())) {
    captured.output.append(buffer, static_cast<size_t>(got));
    if (captured.output.size() > limit) {
      throw fail("{} says more than {} bytes", program.arguments.front(), limit);
    }
  }
  captured.status = child.wait();
  return captured;
}

}  // namespace jigsaw::process
