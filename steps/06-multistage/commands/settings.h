// The options before the command: jigsaw --root DIR --run-root DIR COMMAND …
#pragma once

#include <string>

#include "engine/paths.h"
#include "image/store.h"

namespace CLI {
class App;
}

namespace jigsaw::commands {

// Adds --root and --run-root to a program.
void add_settings(CLI::App& app);
// Fixes the places for the rest of the process: defaults are those of the user who started it.
void settle_paths();
// The places they name, or the defaults. To be called once the command line is parsed.
engine::Paths paths();
// The store below the root.
image::Store open_store();

}  // namespace jigsaw::commands
