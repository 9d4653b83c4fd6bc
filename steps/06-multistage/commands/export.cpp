#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "base/cli.h"
#include "base/error.h"
#include "commands/image_commands.h"
#include "engine/containers.h"
#include "image/layer_create.h"
#include "image/names.h"
#include "unionfs/overlay.h"

namespace jigsaw::commands {
namespace {

struct ExportOptions {
  std::string container;
  std::string output = "-";
};

int export_container(const ExportOptions& options) {
  const engine::Container container = engine::find(paths(), options.container);
  const image::Store store = open_store();
  const files::Lock lock = store.use();
  const image::Tag tag = image::named(store, container.image_id);
  std::vector<std::string> stack =
      store.lower_directories(store.unpack_image(store.read_image(tag.descriptor, container.image), {}));
  stack.insert(stack.begin(), engine::changes(paths(), container.id));
  const Fd merged = unionfs::mount_overlay({.lowers = stack}, "the container's files, to be read only");
  std::ofstream file;
  if (options.output != "-") {
    file.open(options.output, std::ios::binary | std::ios::trunc);
  }
  std::ostream& out = options.output == "-" ? std::cout : file;
  image::create_layer_at(merged.get(), {.form = image::LayerForm::kPlain}, [&](std::string_view bytes) {
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  });
  if (!out.flush()) {
    throw fail("write {}: the archive is not complete", options.output);
  }
  return 0;
}

}  // namespace

void add_export(CLI::App& app) {
  static ExportOptions options;
  CLI::App* command = app.add_subcommand("export", "write a container's root file system as a tar archive");
  command->add_option("container", options.container, "its name or id")->required();
  command->add_option("-o,--output", options.output, "the file; - is standard output");
  cli::on_run(*command, [] { return export_container(options); });
}

}  // namespace jigsaw::commands
