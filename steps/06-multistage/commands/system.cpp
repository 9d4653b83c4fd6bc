#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "base/cli.h"
#include "base/error.h"
#include "base/table.h"
#include "base/text.h"
#include "build/prune.h"
#include "commands/image_commands.h"
#include "commands/image_filters.h"
#include "engine/containers.h"
#include "image/names.h"

namespace jigsaw::commands {
namespace {

// Each image, and what of it no other one has.
std::string images_in_detail(const image::Store& store) {
  const std::vector<ListedImage> all = list_images(store);
  std::map<std::string, std::set<std::string>> users;  // of a layer
  for (const ListedImage& each : all) {
    for (const image::Descriptor& layer : each.image ? each.image->manifest.layers : std::vector<image::Descriptor>{}) {
      users[layer.digest.text()].insert(each.tag.descriptor.digest.text());
    }
  }
  const std::vector<engine::Container> containers = engine::list(paths());
  Table table({"REPOSITORY", "TAG", "IMAGE ID", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"});
  for (const ListedImage& each : all) {
    if (!each.image) {
      continue;  // damaged
    }
    const std::vector<uint64_t> sizes = store.layer_sizes(*each.image);
    uint64_t shared = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      shared += users[each.image->manifest.layers[i].digest.text()].size() > 1 ? sizes[i] : 0;
    }
    const uint64_t size = store.size(*each.image);
    const auto used = std::count_if(containers.begin(), containers.end(), [&](const engine::Container& container) {
      return container.image_id == each.image->id().text();
    });
    table.add({each.repository.empty() ? "<none>" : each.repository, each.version.empty() ? "<none>" : each.version,
               each.image->id().short_id(), text::human_size(size), text::human_size(shared),
               text::human_size(size - shared), std::to_string(used)});
  }
  return "\n" + table.text();
}

int df(bool verbose) {
  const image::Store store = open_store();
  const files::Lock lock = store.use();
  const image::Store::Usage usage = store.usage();
  Table table({"TYPE", "COUNT", "SIZE"});
  std::set<std::string> images;  // one may have several names
  for (const image::Tag& tag : store.tags()) {
    images.insert(tag.descriptor.digest.text());
  }
  table.add({"images", std::to_string(images.size()), text::human_size(usage.blob_bytes)});
  table.add({"unpacked layers", std::to_string(usage.layers), text::human_size(usage.layer_bytes)});
  table.add({"containers", std::to_string(engine::list(paths()).size()), ""});
  table.add({"reclaimable", "", text::human_size(usage.reclaimable)});
  std::fputs((table.text() + (verbose ? images_in_detail(store) : "")).c_str(), stdout);
  return 0;
}

// Without names nobody can ask for an image; those that containers use are held by roots of the store.
void remove_unnamed(const image::Store& store, bool all) {
  const files::Lock lock = store.use();
  std::vector<std::string> used;
  for (const engine::Container& container : engine::list(paths())) {
    used.push_back(container.image_id);
  }
  for (const image::Tag& tag : store.tags()) {
    if (!tag.name.empty() && !all) {
      continue;
    }
    std::string id;
    try {
      id = store.read_image(tag.descriptor, tag.name).id().text();
    } catch (const Error&) {
      // Damaged: nobody can use it.
    }
    if (std::find(used.begin(), used.end(), id) == used.end()) {
      store.remove_image(tag.descriptor.digest);
      std::fputs(fmt::format("deleted: {}\n",
                             tag.name.empty() ? tag.descriptor.digest.text() : image::short_name(tag.name))
                     .c_str(),
                 stdout);
    }
  }
}

int prune(bool all, bool builds) {
  for (const engine::Container& container : engine::list(paths())) {
    if (container.status == engine::Status::kExited) {
      engine::remove(paths(), container);
      std::fputs(fmt::format("removed container: {}\n", container.name).c_str(), stdout);
    }
  }
  const image::Store store = open_store();
  if (builds) {
    const size_t steps = build::prune_cache(store, paths().root);
    std::fputs(fmt::format("forgot {} build steps\n", steps).c_str(), stdout);
  }
  remove_unnamed(store, all);
  const auto collected = store.collect(image::Store::Wait::kYes);
  std::fputs(fmt::format("removed {} blobs and {} layers: {}\n", collected->blobs, collected->layers,
                         text::human_size(collected->bytes))
                 .c_str(),
             stdout);
  return 0;
}

}  // namespace

void add_system(CLI::App& app) {
  static bool all = false;
  static bool builds = false;
  static bool verbose = false;
  CLI::App* system = app.add_subcommand("system", "look after the disk");
  system->require_subcommand(1);
  CLI::App* usage = system->add_subcommand("df", "show what images and layers take");
  usage->add_flag("-v,--verbose", verbose, "also image by image");
  cli::on_run(*usage, [] { return df(verbose); });
  CLI::App* command =
      system->add_subcommand("prune", "remove ended containers, unnamed images and leftovers");
  command->add_flag("-a,--all", all, "also named images that no container uses");
  command->add_flag("--build", builds, "also the build cache, with the directories of --mount=type=cache");
  command->add_flag_function(
      "-f,--force", [](int64_t) {}, "accepted for docker's sake: nothing is asked");
  cli::on_run(*command, [] { return prune(all, builds); });
}

}  // namespace jigsaw::commands
