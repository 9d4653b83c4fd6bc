#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/flags.h"
#include "commands/commands.h"
#include "engine/run.h"

namespace jigsaw::commands {

void add_kill(CLI::App& app) {
  static std::vector<std::string> names;
  static std::string signal = "KILL";
  CLI::App* command = app.add_subcommand("kill", "send a signal to running containers");
  command->add_option("CONTAINER", names, "names or ids")->required();
  command->add_option("-s,--signal", signal, "name or number of the signal")->capture_default_str();
  cli::on_run(*command, [] {
    const int number = flags::parse_signal(signal);
    for (const std::string& name : names) {
      engine::kill(paths(), engine::find(paths(), name), number);
      std::fputs((name + "\n").c_str(), stdout);
    }
    return 0;
  });
}

}  // namespace jigsaw::commands
