#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "base/table.h"
#include "cgroups/cgroup.h"
#include "cgroups/stats.h"
#include "commands/commands.h"
#include "engine/containers.h"

namespace jigsaw::commands {
namespace {

std::vector<engine::Container> chosen(const std::vector<std::string>& names) {
  std::vector<engine::Container> result;
  for (const std::string& name : names) {
    result.push_back(engine::find(paths(), name));
    if (result.back().status != engine::Status::kRunning) {
      throw Error(fmt::format("container {} does not run: it uses nothing", result.back().name), "jigsaw ps lists those that do");
    }
  }
  if (names.empty()) {
    result = engine::list(paths());
    std::erase_if(result, [](const engine::Container& container) { return container.status != engine::Status::kRunning; });
  }
  return result;
}

int stats(const std::vector<std::string>& names) {
  const cgroups::Layout layout = cgroups::read_layout();
  Table table({"CONTAINER ID", "NAME", "PROCESSES", "MEMORY", "CPU", "DISKS"});
  for (const engine::Container& container : chosen(names)) {
    const cgroups::Cgroup cgroup = cgroups::Cgroup::open(layout, cgroups::usual_path(layout, "jigsaw-" + container.id));
    const cgroups::StatsTexts texts = cgroups::describe(cgroups::read_stats(cgroup));
    table.add({container.id.substr(0, 12), container.name, texts.pids, texts.memory, texts.cpu, texts.io});
  }
  std::fputs(table.text().c_str(), stdout);
  return 0;
}

}  // namespace

void add_stats(CLI::App& app) {
  static std::vector<std::string> names;
  CLI::App* command = app.add_subcommand("stats", "what running containers use, and their limits");
  command->add_option("container", names, "names or ids (default: all that run)");
  cli::on_run(*command, [] { return stats(names); });
}

}  // namespace jigsaw::commands
