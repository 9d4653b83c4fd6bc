#include "process/options.h"

#include <CLI/CLI.hpp>

namespace jigsaw::process {

void add_program_options(CLI::App& command, ProgramOptions& options) {
  command.add_option("-e,--env", options.environment, "NAME=value for its environment, or NAME to hand on ours")
      ->allow_extra_args(false);
  command.add_option("-w,--cwd,--workdir", options.directory, "the directory it starts in");
}

}  // namespace jigsaw::process
