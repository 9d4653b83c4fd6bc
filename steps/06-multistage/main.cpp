// jigsaw: all the pieces together. A table of commands, each in a file of its own below commands/.
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "commands/commands.h"
#include "commands/image_commands.h"
#include "commands/rootless.h"

using namespace jigsaw;

int main(int argc, char** argv) {
  return cli::run_main(argc, argv, {"jigsaw", "build and run containers", commands::as_root_of_a_namespace}, [](CLI::App& app) {
    commands::add_settings(app);
    commands::add_run(app);
    commands::add_exec(app);
    commands::add_build(app);
    commands::add_ps(app);
    commands::add_kill(app);
    commands::add_rm(app);
    commands::add_images(app);
    commands::add_rmi(app);
    commands::add_tag(app);
    commands::add_inspect(app);
    commands::add_history(app);
    commands::add_diff(app);
    commands::add_unpack(app);
    commands::add_import(app);
    commands::add_export(app);
    commands::add_system(app);
    commands::add_transfer(app, "pull", "fetch an image from a registry");
    commands::add_transfer(app, "push", "send an image to a registry");
    commands::add_transfer(app, "login", "remember the password for a registry");
    commands::add_transfer(app, "logout", "forget the password for a registry");
    commands::add_transfer(app, "save", "write images to an archive");
    commands::add_transfer(app, "load", "read images from an archive");
    commands::add_transfer(app, "copy", "copy an image from one place to another");
  });
}
