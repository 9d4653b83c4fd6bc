#include <CLI/CLI.hpp>
#include <csignal>

#include "base/cli.h"
#include "base/error.h"
#include "base/log.h"
#include "commands/commands.h"
#include "engine/run.h"

namespace jigsaw::commands {
namespace {

struct RmOptions {
  std::vector<std::string> names;
  bool force = false;
  bool all = false;
};

int rm(const RmOptions& options) {
  const engine::Paths places = paths();
  std::vector<engine::Container> wanted;
  for (const std::string& name : options.names) {
    try {
      wanted.push_back(engine::find(places, name));  // all must exist before the first is removed
    } catch (const Error& error) {
      if (!options.force) {
        throw;
      }
      log::warning("{}", error.message());  // that it is gone is all that was wanted
    }
  }
  if (options.all) {
    wanted = engine::list(places);
  } else if (options.names.empty()) {
    throw Error("the container to remove is missing",
                "give names or ids, or --all; jigsaw ps --all lists them");
  }
  for (const engine::Container& container : wanted) {
    const bool runs = container.status == engine::Status::kRunning;
    if (runs && options.all && !options.force) {
      continue;
    }
    if (runs && options.force) {
      engine::kill(places, container, SIGKILL);
    }
    if (!(runs && options.force && container.remove_after)) {  // such a one removes itself at its end
      engine::remove(places, container);
    }
    std::fputs((container.name + "\n").c_str(), stdout);
  }
  return 0;
}

}  // namespace

void add_rm(CLI::App& app) {
  static RmOptions options;
  CLI::App* command = app.add_subcommand("rm", "remove containers");
  command->add_option("CONTAINER", options.names, "names or ids");
  command->add_flag("-f,--force", options.force, "kill those that run; and if it is not there");
  command->add_flag("-a,--all", options.all, "all that do not run");
  cli::on_run(*command, [] { return rm(options); });
}

}  // namespace jigsaw::commands
