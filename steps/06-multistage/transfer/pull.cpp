#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"
#include "commands/settings.h"
#include "image/names.h"
#include "image/pull.h"
#include "image/reference.h"
#include "image/transport.h"
#include "transfer/transfer.h"

namespace jigsaw::transfer {
namespace {

struct PullOptions {
  std::vector<std::string> images;
  std::string platform;
  bool dry_run = false;
  bool all_tags = false;
  RegistryFlags registry;
  Output output;
};

// The name an image gets here.
std::string name_for(const image::Location& from) {
  const bool named = from.name.find_first_of("/:") != std::string::npos;
  if (from.kind == image::Location::Kind::kPlain || from.kind == image::Location::Kind::kRegistry || named) {
    return image::with_default_tag(image::parse_reference(from.name)).text();
  }
  const std::string base = text::lower(std::filesystem::path(from.path).filename().string());
  return image::with_default_tag(image::parse_reference(fmt::format("localhost/{}{}{}", base,
                                                                    from.name.empty() ? "" : ":", from.name)))
      .text();
}

std::string_view word(image::LayerState state) {
  switch (state) {
    case image::LayerState::kHere:
      return "here";
    case image::LayerState::kPacked:
      return "here, to be unpacked";
    case image::LayerState::kMissing:
      break;
  }
  return "to be fetched";
}

void print_plan(const image::PullPlan& plan) {
  std::string text =
      fmt::format("{}: {}\n", plan.name, plan.unchanged ? "unchanged" : plan.descriptor.digest.text());
  size_t missing = 0;
  for (const image::LayerPlan& layer : plan.layers) {
    text += fmt::format("  {}  {:>8}  {}\n", layer.blob.digest.short_id(), text::human_size(layer.blob.size),
                        word(layer.state));
    missing += layer.state == image::LayerState::kMissing ? 1 : 0;
  }
  text += fmt::format("  to fetch: {} bytes in {} of {} layers\n", plan.bytes_to_fetch(), missing,
                      plan.layers.size());
  std::fputs(text.c_str(), stdout);
}

void pull_one(const PullOptions& options, const image::Store& store, const std::string& text,
              progress::Reporter& progress) {
  image::Location from = image::parse_location(text);
  const std::string name = name_for(from);
  if (from.kind == image::Location::Kind::kPlain && image::is_embedded(text)) {
    progress.line(fmt::format("{}: part of this program, nothing to fetch", name));
    std::fputs(fmt::format("{}\n", image::named_image(store, text).id().text()).c_str(), stdout);
    return;
  }
  if (from.kind == image::Location::Kind::kPlain) {
    from.kind = image::Location::Kind::kRegistry;
  }
  const files::Lock lock = store.use_to_add();
  const auto source = image::open_source(from, store, options.registry.options());
  const image::PullOptions how{.platform = platform_of(options.platform), .progress = &progress};
  const image::PullPlan plan = image::plan_pull(store, *source, name, how);
  if (options.dry_run) {
    return print_plan(plan);
  }
  const image::Image image = image::carry_out(store, *source, plan, how);
  progress.line(fmt::format("{}: {}", name, plan.unchanged ? "up to date" : image.descriptor.digest.text()));
  std::fputs(fmt::format("{}\n", image.id().text()).c_str(), stdout);
}

// The images that a word of the command line stands for: one, or all of a repository.
std::vector<std::string> wanted(const PullOptions& options, const std::string& text) {
  if (!options.all_tags) {
    return {text};
  }
  const image::Location from = image::parse_location(text);
  if (from.kind != image::Location::Kind::kPlain && from.kind != image::Location::Kind::kRegistry) {
    throw fail("--all-tags is for registries, not for {}", text::quoted(text));
  }
  const image::Reference reference = image::parse_reference(from.name);
  if (!reference.tag.empty() || !reference.digest.empty()) {
    throw Error(fmt::format("--all-tags and a tag: {}", text::quoted(text)), "leave the tag away, or the flag");
  }
  std::vector<std::string> names;
  for (const std::string& tag : image::Registry(reference, image::Registry::Access::kPull, options.registry.options()).tags()) {
    names.push_back(fmt::format("docker://{}:{}", reference.name(), tag));
  }
  if (names.empty()) {
    throw fail("{} has no tags", reference.name());
  }
  return names;
}

}  // namespace

void add_pull(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "pull", "fetch an image from a registry (or oci:DIR:TAG, oci-archive:FILE, docker-archive:FILE)");
  auto options = std::make_shared<PullOptions>();
  command->add_option("image", options->images, "registry_name/user_name/image_name:tag")->required();
  command->add_option("--platform", options->platform,
                      "of several, the image for OS/ARCH[/VARIANT] (default: this machine's)");
  command->add_flag("-a,--all-tags", options->all_tags, "all images of the repository");
  command->add_flag("--dry-run", options->dry_run,
                    "only say which layers are here and what would be fetched");
  add_output(*command, options->output);
  add_registry_flags(*command, options->registry);
  cli::on_run(*command, [options] {
    const auto progress = options->output.reporter();
    const image::Store store = commands::open_store();
    for (const std::string& text : options->images) {
      for (const std::string& image : wanted(*options, text)) {
        pull_one(*options, store, image, *progress);
      }
    }
    return 0;
  });
}

}  // namespace jigsaw::transfer
