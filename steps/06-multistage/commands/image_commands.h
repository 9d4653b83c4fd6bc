// The commands about images: one file each, which adds its subcommand to the program.
#pragma once

#include <string>

#include "commands/settings.h"
#include "image/store.h"

namespace CLI {
class App;
}

namespace jigsaw::commands {

void add_diff(CLI::App& app);
void add_export(CLI::App& app);
void add_history(CLI::App& app);
void add_images(CLI::App& app);
void add_import(CLI::App& app);
void add_inspect(CLI::App& app);
void add_rmi(CLI::App& app);
void add_system(CLI::App& app);
void add_tag(CLI::App& app);
void add_unpack(CLI::App& app);

}  // namespace jigsaw::commands
