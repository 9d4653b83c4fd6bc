// save, load and copy: images between the store, archives, layouts and registries.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"
#include "commands/settings.h"
#include "image/docker_archive.h"
#include "image/layout.h"
#include "image/names.h"
#include "image/pull.h"
#include "image/reference.h"
#include "image/transport.h"
#include "transfer/transfer.h"

namespace jigsaw::transfer {
namespace {

struct SaveOptions {
  std::vector<std::string> images;
  std::string output = "-";
  std::string format = "docker-archive";
  Output progress;
};

struct LoadOptions {
  std::string input = "-";
  Output progress;
};

struct CopyCommand {
  std::string from;
  std::string to;
  std::string platform;
  bool all = false;
  RegistryFlags registry;
  Output progress;
};

int save(const SaveOptions& options) {
  const image::Store store = commands::open_store();
  const files::Lock lock = store.use();
  const auto progress = options.progress.reporter();
  const image::CopyOptions how{.progress = progress.get()};
  std::vector<image::Image> images;
  for (const std::string& name : options.images) {
    images.push_back(image::named_image(store, name));
  }
  if (options.format == "oci-archive") {
    image::LayoutArchiveDestination archive(options.output, store.temporary_directory());
    for (const image::Image& image : images) {
      image::StoreSource source(store, image);
      archive.set_tag(image.name);
      image::copy(source, archive, how);
    }
    archive.close();
  } else if (options.format == "docker-archive") {
    image::DockerArchiveDestination archive(options.output, store.temporary_directory());
    for (const image::Image& image : images) {
      image::StoreSource source(store, image);
      archive.set_names(image.name.empty() ? std::vector<std::string>{}
                                           : std::vector<std::string>{image.name});
      image::copy(source, archive, how);
    }
    archive.close();
  } else if (options.format == "oci-dir") {
    if (options.output == "-") {
      throw Error("--format oci-dir writes a directory", "name it with --output DIR");
    }
    for (const image::Image& image : images) {
      image::StoreSource source(store, image);
      image::LayoutDestination layout(options.output, image.name);
      image::copy(source, layout, how);
    }
  } else {
    throw fail("--format is docker-archive, oci-archive or oci-dir, not {}", text::quoted(options.format));
  }
  return 0;
}

int load(const LoadOptions& options) {
  const image::Store store = commands::open_store();
  const files::Lock lock = store.use_to_add();
  const auto progress = options.progress.reporter();
  for (const image::NamedSource& each : image::open_all(options.input, store)) {
    const std::string first = each.names.empty() ? "" : each.names.front();
    const image::PullOptions how{.progress = progress.get()};
    const image::Image image =
        image::carry_out(store, *each.source, image::plan_pull(store, *each.source, first, how), how);
    for (size_t i = 1; i < each.names.size(); ++i) {
      store.tag(each.names[i], image.descriptor);
    }
    std::fputs(fmt::format("loaded {}\n", first.empty() ? image.id().text() : first).c_str(), stdout);
  }
  return 0;
}

int copy(const CopyCommand& options) {
  const image::Store store = commands::open_store();
  const files::Lock lock = store.use();
  const auto progress = options.progress.reporter();
  const image::RegistryOptions registry = options.registry.options();
  const auto source = image::open_source(image::parse_location(options.from), store, registry);
  const image::Location to = image::parse_location(options.to);
  const image::CopyOptions how{
      .platform = platform_of(options.platform),
      .platforms = options.all ? image::CopyOptions::Platforms::kAll : image::CopyOptions::Platforms::kOne,
      .progress = progress.get()};
  const image::Digest digest = image::copy_to(*source, to, {.registry = registry}, store, how);
  progress->line(fmt::format("{}: {}", options.to, digest.text()));
  return 0;
}

}  // namespace

void add_save(CLI::App& app) {
  CLI::App* command = app.add_subcommand("save", "write images to an archive");
  auto options = std::make_shared<SaveOptions>();
  command->add_option("image", options->images, "images of the store")->required();
  command->add_option("-o,--output", options->output, "the file (default: standard output)");
  command->add_option("--format", options->format, "docker-archive (default), oci-archive or oci-dir");
  add_output(*command, options->progress);
  cli::on_run(*command, [options] { return save(*options); });
}

void add_load(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "load", "read images from an archive (docker-archive, oci-archive) or an image layout");
  auto options = std::make_shared<LoadOptions>();
  command->add_option("-i,--input", options->input, "the file or directory (default: standard input)");
  add_output(*command, options->progress);
  cli::on_run(*command, [options] { return load(*options); });
}

void add_copy(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("copy", "copy an image between registries, archives, layouts and the store");
  auto options = std::make_shared<CopyCommand>();
  command
      ->add_option(
          "from", options->from,
          "docker://REF, oci:DIR:TAG, oci-archive:FILE, docker-archive:FILE, or an image of the store")
      ->required();
  command->add_option("to", options->to, "docker://REF, oci:DIR:TAG, oci-archive:FILE or docker-archive:FILE")
      ->required();
  command->add_option("--platform", options->platform, "of several, the image for OS/ARCH[/VARIANT]");
  command->add_flag("--all", options->all, "an index with the images for all platforms");
  add_output(*command, options->progress);
  add_registry_flags(*command, options->registry);
  cli::on_run(*command, [options] { return copy(*options); });
}

}  // namespace jigsaw::transfer
