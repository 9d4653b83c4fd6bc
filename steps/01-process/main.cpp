// 01-process: a container is, first of all, a process.
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "process/exec.h"
#include "process/signals.h"
#include "process/spawn.h"

using namespace jigsaw;

int main(int argc, char** argv) {
  std::vector<std::string> command;
  return cli::run_main(argc, argv, {"01-process", "run a program as a child process"}, [&](CLI::App& app) {
    CLI::App* run = app.add_subcommand("run", "run a program and hand on its exit code");
    cli::take_command_line(*run, command);
    cli::on_run(*run, [&] {
      const process::SignalGuard guard;
      process::Child child = process::spawn({}, [&](process::Gate&) -> int {
        process::exec({command, process::current_environment()});
      });
      child.release();
      child.wait_started();
      return process::supervise(child).exit_code();
    });
  });
}
