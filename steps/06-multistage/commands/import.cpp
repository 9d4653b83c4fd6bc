#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"
#include "commands/image_commands.h"
#include "image/import.h"
#include "image/names.h"

namespace jigsaw::commands {
namespace {

struct ImportOptions {
  std::string file;
  std::string name;
  std::string message;
  std::vector<std::string> changes;
};

int import(const ImportOptions& options) {
  const std::string name = options.name.empty() ? "" : image::full_name(options.name);
  const image::Store store = open_store();
  const files::Lock lock = store.use_to_add();
  const image::Image image =
      image::import_archive(store, options.file,
                            {.name = name,
                             .message = options.message,
                             .created = text::rfc3339(std::chrono::system_clock::now()),
                             .changes = options.changes});
  std::fputs((image.id().text() + "\n").c_str(), stdout);
  return 0;
}

}  // namespace

void add_import(CLI::App& app) {
  static ImportOptions options;
  CLI::App* command = app.add_subcommand("import", "make an image from a root file system archive");
  command->add_option("file", options.file, "a tar archive, compressed or not; - is standard input")
      ->required();
  command->add_option("name", options.name, "what to call the image");
  command->add_option("-m,--message", options.message, "what its history says");
  command
      ->add_option("-c,--change", options.changes,
                   "CMD, ENTRYPOINT, ENV, USER, WORKDIR or LABEL as in a Dockerfile")
      ->allow_extra_args(false);
  cli::on_run(*command, [] { return import(options); });
}

}  // namespace jigsaw::commands
