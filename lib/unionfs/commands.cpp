#include "unionfs/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/cli.h"
#include "base/error.h"
#include "base/files.h"
#include "unionfs/changes.h"

namespace jigsaw::unionfs {

void add_diff_command(CLI::App& app, const std::string& name, const std::string& help, const LowersOf& lowers_of) {
  struct Words {
    std::string below;
    std::string changes;
  };
  const auto words = std::make_shared<Words>();
  CLI::App* command = app.add_subcommand("diff", "what a run with --changes wrote");
  command->add_option(name, words->below, help)->required();
  command->add_option("CHANGES", words->changes, "where its changes are")->required();
  cli::on_run(*command, [words, lowers_of] {
    const std::vector<std::string> lowers = lowers_of(words->below);
    const std::string upper = words->changes + "/upper";
    if (!files::is_directory(upper)) {
      throw fail("{} holds no changes of a run", words->changes).with_hint(fmt::format("a run with --changes {} keeps them there", words->changes));
    }
    fmt::print("{}", listing(changes(upper, lowers, usable_xattrs())));
    return 0;
  });
}

}  // namespace jigsaw::unionfs
