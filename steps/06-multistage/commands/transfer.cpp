// Commands that need the network or compression live in a program of their own: the libraries behind them
// take longer to load than a whole container takes to run. git does the same with git-remote-https.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/cli.h"
#include "base/error.h"
#include "commands/commands.h"
#include "process/exec.h"

namespace jigsaw::commands {

std::string transfer_program() {
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (const auto& candidate : {here / "jigsaw-transfer", here / "../libexec/jigsaw/jigsaw-transfer"}) {
    if (std::filesystem::exists(candidate)) {
      return candidate.string();
    }
  }
  throw Error("jigsaw-transfer is not installed",
              fmt::format("it belongs beside {} or in ../libexec/jigsaw", here.string()));
}

void add_transfer(CLI::App& app, const char* name, const char* description) {
  CLI::App* command = app.add_subcommand(name, description);
  command->set_help_flag();  // jigsaw-transfer knows its options
  command->prefix_command();
  cli::on_run(*command, []() -> int {
    std::vector<std::string> words = cli::command_line();
    const engine::Paths places = paths();
    words.insert(words.begin() + 1, {"--root", places.root, "--run-root", places.run_root});
    const std::string program = transfer_program();
    process::exec(
        {.arguments = std::move(words), .environment = process::current_environment(), .file = program},
        "another program of jigsaw holds the network and compression libraries");
  });
}

}  // namespace jigsaw::commands
