// The options before the command: jigsaw --root DIR --run-root DIR COMMAND …
#pragma once

#include <string>

#include "engine/paths.h"

namespace CLI {
class App;
}

namespace jigsaw::commands {

// Adds --root and --run-root to a program.
void add_settings(CLI::App& app);
// The places they name, or the defaults. To be called once the command line is parsed.
engine::Paths paths();

}  // namespace jigsaw::commands
