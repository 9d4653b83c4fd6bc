#include "commands/settings.h"

#include <CLI/CLI.hpp>

#include "base/cli.h"

namespace jigsaw::commands {
namespace {
std::string g_root;
std::string g_run_root;
}  // namespace

void add_settings(CLI::App& app) {
  // The last one counts: jigsaw puts the settled ones before the user's words when it executes
  // jigsaw-transfer.
  app.add_option("--root", g_root,
                 "images and containers (default /var/lib/jigsaw, rootless ~/.local/share/jigsaw)")
      ->take_last()
      ->check(cli::refuse_empty);
  app.add_option("--run-root", g_run_root,
                 "states of running containers (default /run/jigsaw, rootless $XDG_RUNTIME_DIR/jigsaw)")
      ->take_last()
      ->check(cli::refuse_empty);
}

void settle_paths() {
  const engine::Paths settled = paths();
  g_root = settled.root;
  g_run_root = settled.run_root;
}

engine::Paths paths() { return engine::paths(g_root, g_run_root); }

image::Store open_store() { return image::Store::open(paths().root); }

}  // namespace jigsaw::commands
