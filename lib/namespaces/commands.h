// The command that the steps have for looking at namespaces: `ls`, as lsns(8), but a line for each process.
#pragma once

namespace CLI {
class App;
}

namespace jigsaw::namespaces {

void add_namespace_commands(CLI::App& app);

}  // namespace jigsaw::namespaces
