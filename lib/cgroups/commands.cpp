#include "cgroups/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/table.h"
#include "cgroups/cgroup.h"
#include "cgroups/stats.h"

namespace jigsaw::cgroups {
namespace {

constexpr std::string_view kPrefix = "jigsaw-";

int stats() {
  const Layout layout = read_layout();
  Table table({"NAME", "PROCESSES", "MEMORY", "CPU", "DISKS"});
  for (const std::string& path : find_cgroups(layout, std::string(kPrefix))) {
    const StatsTexts texts = describe(read_stats(Cgroup::open(layout, path)));
    table.add({path.substr(kPrefix.size() + 1), texts.pids, texts.memory, texts.cpu, texts.io});
  }
  fmt::print("{}\n{}", layout.describe(), table.text());
  return 0;
}

}  // namespace

void add_cgroup_commands(CLI::App& app) { cli::on_run(*app.add_subcommand("stats", "what the running ones use"), stats); }

}  // namespace jigsaw::cgroups
