#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "base/json.h"
#include "base/table.h"
#include "base/text.h"
#include "commands/commands.h"
#include "engine/containers.h"

namespace jigsaw::commands {
namespace {

struct PsOptions {
  bool all = false;
  bool quiet = false;
  bool whole = false;
};

std::string state(const engine::Container& container) {
  if (container.status != engine::Status::kExited) {
    return std::string(engine::name(container.status));
  }
  const bool known = container.finished > std::chrono::system_clock::time_point{};  // not of one that died with its jigsaw
  return fmt::format("exited ({}){}{}", container.exit_code, known ? " " + text::human_age(container.finished) : "",
                     container.reason.empty() ? "" : ": " + container.reason);
}

int ps(const PsOptions& options) {
  Table table({"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAME"});
  for (const engine::Container& container : engine::list(paths())) {
    if (container.status != engine::Status::kRunning && !options.all) {
      continue;
    }
    const std::string id = options.whole ? container.id : container.id.substr(0, 12);
    const std::string command = text::quoted(text::join(container.command, " "), options.whole ? 4096 : 24);
    if (options.quiet) {
      std::fputs((id + "\n").c_str(), stdout);
    }
    table.add(
        {id, container.image, command, text::human_age(container.created), state(container), container.name});
  }
  if (!options.quiet) {
    std::fputs(table.text().c_str(), stdout);
  }
  return 0;
}

}  // namespace

void add_ps(CLI::App& app) {
  static PsOptions options;
  CLI::App* command = app.add_subcommand("ps", "list containers");
  command->add_flag("-a,--all", options.all, "also those that do not run");
  command->add_flag("-q,--quiet", options.quiet, "ids only");
  command->add_flag("--no-trunc", options.whole, "whole ids and commands");
  cli::on_run(*command, [] { return ps(options); });
}

}  // namespace jigsaw::commands
