// The command that the steps have for looking at a container's own layer: `diff`, as docker diff.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace jigsaw::unionfs {

// `diff BELOW CHANGES`: what a run with --changes CHANGES wrote. `lowers_of` gives the directories of the layers, the top
// one first, for what the user named; `name` and `help` tell him what that is.
using LowersOf = std::function<std::vector<std::string>(const std::string& below)>;
void add_diff_command(CLI::App& app, const std::string& name, const std::string& help, const LowersOf& lowers_of);

}  // namespace jigsaw::unionfs
