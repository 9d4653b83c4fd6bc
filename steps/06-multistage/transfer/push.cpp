#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"
#include "commands/settings.h"
#include "image/copy.h"
#include "image/names.h"
#include "image/reference.h"
#include "image/transport.h"
#include "transfer/transfer.h"

namespace jigsaw::transfer {
namespace {

constexpr size_t kMountCandidates = 3;

struct PushOptions {
  std::string image;
  std::string destination;
  std::vector<std::string> with;
  std::string compression = "gzip";
  std::string chunk;
  RegistryFlags registry;
  Output output;
};

image::Compression parse_compression(const std::string& text) {
  if (text == "gzip" || text == "zstd") {
    return text == "gzip" ? image::Compression::kGzip : image::Compression::kZstd;
  }
  if (text != "none") {
    throw fail("--compression is gzip, zstd or none, not {}", text::quoted(text));
  }
  return image::Compression::kNone;
}

// Repositories on the same registry that this store knows: they may hold blobs of this image already.
std::vector<std::string> mount_candidates(const image::Store& store, const image::Reference& destination) {
  std::vector<std::string> repositories;
  for (const image::Tag& tag : store.tags()) {
    if (tag.name.empty() || repositories.size() == kMountCandidates) {
      continue;
    }
    const image::Reference other = image::parse_reference(tag.name);
    const bool known =
        std::find(repositories.begin(), repositories.end(), other.repository) != repositories.end();
    if (other.registry == destination.registry && other.repository != destination.repository && !known) {
      repositories.push_back(other.repository);
    }
  }
  return repositories;
}

int push(const PushOptions& options) {
  const image::Store store = commands::open_store();
  const files::Lock lock = store.use();
  const auto progress = options.output.reporter();
  std::vector<image::Image> images = {image::named_image(store, options.image)};
  for (const std::string& name : options.with) {
    images.push_back(image::named_image(store, name));
  }
  const std::string target = options.destination.empty() ? images.front().name : options.destination;
  if (target.empty()) {
    throw Error(fmt::format("the image {} has no name to push to", options.image),
                "say where: jigsaw push IMAGE DESTINATION");
  }
  image::Location to = image::parse_location(target);
  image::RegistryDestination::Options registry{.registry = options.registry.options()};
  if (to.kind == image::Location::Kind::kPlain || to.kind == image::Location::Kind::kRegistry) {
    to.kind = image::Location::Kind::kRegistry;
    registry.mount_from = mount_candidates(store, image::parse_reference(to.name));
    registry.chunk = options.chunk.empty() ? 0 : text::parse_size(options.chunk, "--chunk-size");
  }
  const image::CopyOptions how{.platforms = image::CopyOptions::Platforms::kAll,
                               .compression = parse_compression(options.compression),
                               .store = &store,
                               .progress = progress.get()};
  std::unique_ptr<image::Source> source;
  if (images.size() == 1) {
    source = std::make_unique<image::StoreSource>(store, images.front());
  } else {
    source = std::make_unique<image::IndexSource>(store, images);
  }
  const image::Digest digest = image::copy_to(*source, to, registry, store, how);
  progress->line(fmt::format("{}: {}", target, digest.text()));
  std::fputs(fmt::format("{}\n", digest.text()).c_str(), stdout);
  return 0;
}

}  // namespace

void add_push(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "push", "send an image to a registry (or oci:DIR:TAG, oci-archive:FILE, docker-archive:FILE)");
  auto options = std::make_shared<PushOptions>();
  command->add_option("image", options->image, "an image of the store")->required();
  command->add_option("destination", options->destination, "where to (default: what the image's name says)");
  command
      ->add_option("--with", options->with,
                   "a further image, for another platform: an index of all is pushed")
      ->allow_extra_args(false);
  command->add_option("--compression", options->compression,
                      "of layers that were built here: gzip (default), zstd or none");
  command->add_option("--chunk-size", options->chunk, "send blobs in pieces of this size (default: whole)");
  add_output(*command, options->output);
  add_registry_flags(*command, options->registry);
  cli::on_run(*command, [options] { return push(*options); });
}

}  // namespace jigsaw::transfer
