// 01-process: a container is, first of all, a process.
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/journal.h"
#include "process/commands.h"
#include "process/exec.h"
#include "process/init.h"
#include "process/options.h"
#include "process/signals.h"
#include "process/spawn.h"

using namespace jigsaw;

namespace {

struct Options {
  std::string run_root;
  process::ProgramOptions program;
};

// The child's side: its surroundings, then the program.
[[noreturn]] void become_program(const process::ProgramOptions& options) {
  process::Program program{options.command, process::current_environment()};
  for (const std::string& assignment : options.environment) {
    process::set_variable(program.environment, assignment);
  }
  if (!options.directory.empty()) {
    sys::chdir(options.directory, "the program starts in the directory asked for");
  }
  process::exec(program);
}

int run(const Options& options) {
  journal::Record record(journal::directory_for(options.run_root), journal::common_kinds());
  process::become_subreaper();
  const process::SignalGuard guard;
  process::Child child = process::spawn({}, [&](process::Gate&) -> int { become_program(options.program); });
  record.note("process", journal::process_name(child.pid()));
  child.release();
  child.wait_started();
  return process::supervise(child).exit_code();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  const cli::Program program{"01-process", "run a program as a child process, and look at processes"};
  return cli::run_main(argc, argv, program, [&](CLI::App& app) {
    CLI::App* run_command = app.add_subcommand("run", "run a program and hand on its exit code");
    process::add_program_options(*run_command, options.program);
    cli::take_command_line(*run_command, options.program.command);
    cli::on_run(*run_command, [&] { return run(options); });

    process::add_process_commands(app);
    cli::add_records(app, options.run_root, journal::common_kinds());
  });
}
