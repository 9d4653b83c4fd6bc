// Commands that need the network or compression live in a program of their own: the libraries behind them
// take longer to load than a whole container takes to run. git does the same with git-remote-https.
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "commands/commands.h"
#include "process/exec.h"
#include "process/own_program.h"

namespace jigsaw::commands {

void add_transfer(CLI::App& app, const char* name, const char* description) {
  CLI::App* command = app.add_subcommand(name, description);
  command->set_help_flag();  // jigsaw-transfer knows its options
  command->prefix_command();
  cli::on_run(*command, []() -> int {
    std::vector<std::string> words = cli::command_line();
    const engine::Paths places = paths();
    words.insert(words.begin() + 1, {"--root", places.root, "--run-root", places.run_root});
    process::exec(
        {.arguments = std::move(words), .environment = process::current_environment(), .file = process::companion("jigsaw-transfer")},
        "another program of jigsaw holds the network and compression libraries");
  });
}

}  // namespace jigsaw::commands
