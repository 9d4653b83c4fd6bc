// The commands of `jigsaw`: one file each, which adds its subcommand to the program.
#pragma once

#include "commands/settings.h"

namespace CLI {
class App;
}

namespace jigsaw::commands {

void add_ps(CLI::App& app);

// Adds `name` as a command that is carried out by jigsaw-transfer: the same words are handed on to it.
void add_transfer(CLI::App& app, const char* name, const char* description);

}  // namespace jigsaw::commands
