#include "namespaces/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/table.h"
#include "namespaces/enter.h"
#include "namespaces/sets.h"

namespace jigsaw::namespaces {
namespace {

int ls() {
  std::vector<std::string> headings = {"PID", "CMD"};
  for (const Kind& kind : kinds()) {
    headings.emplace_back(kind.name);
  }
  Table table(headings);
  for (const ProcessNamespaces& process : list()) {
    std::vector<std::string> cells = {std::to_string(process.pid), process.command};
    for (const uint64_t id : process.ids) {
      cells.push_back(std::to_string(id));
    }
    table.add(std::move(cells));
  }
  fmt::print("{}", table.text());
  return 0;
}

}  // namespace

void add_namespace_commands(CLI::App& app) { cli::on_run(*app.add_subcommand("ls", "list the namespaces of the processes"), ls); }

}  // namespace jigsaw::namespaces
