// The command line's words for the program that is run: --env, --cwd, and the program itself.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace jigsaw::process {

struct ProgramOptions {
  std::vector<std::string> command;      // what take_command_line() fills
  std::vector<std::string> environment;  // as set_variable() takes them
  std::string directory;                 // "" if none was given
};
void add_program_options(CLI::App& command, ProgramOptions& options);

}  // namespace jigsaw::process
