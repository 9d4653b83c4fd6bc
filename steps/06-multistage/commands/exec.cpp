#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "commands/commands.h"
#include "engine/run.h"
#include "process/exec.h"

namespace jigsaw::commands {

void add_exec(CLI::App& app) {
  static engine::ExecOptions options;
  static std::string container;
  static std::vector<std::string> environment_files;
  CLI::App* command = app.add_subcommand("exec", "run a further program in a running container");
  command->add_option("-e,--env", options.environment, "NAME=value, or NAME to hand on ours")
      ->allow_extra_args(false);
  command->add_option("--env-file", environment_files, "file with a variable a line")->allow_extra_args(false);
  command->add_option("-w,--workdir", options.working_directory, "directory to start in");
  command->add_option("-u,--user", options.user, "user[:group], names or numbers");
  command->add_flag("-i,--interactive", options.interactive, "keep standard input open");
  command->add_flag("-t,--tty", options.terminal, "give the program a terminal");
  command->add_flag("--privileged", options.privileged, "all capabilities");
  cli::take_command_line(*command, container, options.arguments, "CONTAINER",
                         "name or id of a running container", cli::Rest::kRequired);
  cli::on_run(*command, [] {
    options.environment = process::with_assignments_of(environment_files, std::move(options.environment));
    return engine::exec(paths(), container, options);
  });
}

}  // namespace jigsaw::commands
