#include "commands/settings.h"

#include <CLI/CLI.hpp>

namespace jigsaw::commands {
namespace {
std::string g_root;
std::string g_run_root;
}  // namespace

void add_settings(CLI::App& app) {
  app.add_option("--root", g_root, "images and containers (default /var/lib/jigsaw, rootless ~/.local/share/jigsaw)");
  app.add_option("--run-root", g_run_root, "states of running containers (default /run/jigsaw, rootless $XDG_RUNTIME_DIR/jigsaw)");
}

engine::Paths paths() { return engine::paths(g_root, g_run_root); }

}  // namespace jigsaw::commands
