// The commands of `jigsaw`: one file each, which adds its subcommand to the program.
#pragma once

#include <string>

#include "commands/settings.h"

namespace CLI {
class App;
}

namespace jigsaw::commands {

void add_exec(CLI::App& app);
void add_kill(CLI::App& app);
void add_build(CLI::App& app);
void add_ps(CLI::App& app);
void add_rm(CLI::App& app);
void add_run(CLI::App& app);
void add_stats(CLI::App& app);

// Adds `name` as a command that is carried out by jigsaw-transfer: the same words are handed on to it.
void add_transfer(CLI::App& app, const char* name, const char* description);

// Sees to it that the store has the image: "missing" pulls it if it is not there, "always" asks the registry in any
// case, "never" leaves it to the caller to fail. jigsaw/base is always there.
// Returns 0, or the exit code of a pull that has said why it failed.
int ensure_image(const std::string& image, const std::string& pull);

}  // namespace jigsaw::commands
