// The command that the steps have for looking at cgroups: `stats`, what the running ones use and what their limits are.
#pragma once

namespace CLI {
class App;
}

namespace jigsaw::cgroups {

void add_cgroup_commands(CLI::App& app);

}  // namespace jigsaw::cgroups
