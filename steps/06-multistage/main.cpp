// jigsaw: all the pieces together. A table of commands, each in a file of its own below commands/.
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "commands/commands.h"
#include "commands/image_commands.h"
#include "commands/rootless.h"
#include "runtime/own_binary.h"

using namespace jigsaw;
using commands::add_transfer;

namespace {

constexpr cli::NamedCommand kCommands[] = {
    {"run", commands::add_run},
    {"exec", commands::add_exec},
    {"build", commands::add_build},
    {"ps", commands::add_ps},
    {"stats", commands::add_stats},
    {"kill", commands::add_kill},
    {"rm", commands::add_rm},
    {"images", commands::add_images},
    {"rmi", commands::add_rmi},
    {"tag", commands::add_tag},
    {"inspect", commands::add_inspect},
    {"history", commands::add_history},
    {"diff", commands::add_diff},
    {"unpack", commands::add_unpack},
    {"import", commands::add_import},
    {"export", commands::add_export},
    {"system", commands::add_system},
    {"pull", [](CLI::App& app) { add_transfer(app, "pull", "fetch an image from a registry"); }},
    {"push", [](CLI::App& app) { add_transfer(app, "push", "send an image to a registry"); }},
    {"login", [](CLI::App& app) { add_transfer(app, "login", "remember the password for a registry"); }},
    {"logout", [](CLI::App& app) { add_transfer(app, "logout", "forget the password for a registry"); }},
    {"save", [](CLI::App& app) { add_transfer(app, "save", "write images to an archive"); }},
    {"load", [](CLI::App& app) { add_transfer(app, "load", "read images from an archive"); }},
    {"copy", [](CLI::App& app) { add_transfer(app, "copy", "copy an image from one place to another"); }},
};

}  // namespace

int main(int argc, char** argv) {
  const int failed = cli::report_errors("jigsaw", [argc, argv] {
    runtime::leave_own_binary(argc, argv);
    return 0;
  });
  if (failed != 0) {
    return failed;
  }
  return cli::run_main(argc, argv, {"jigsaw", "build and run containers", commands::as_root_of_a_namespace}, [](CLI::App& app) {
    commands::add_settings(app);
    cli::add_commands(app, kCommands);
  });
}
