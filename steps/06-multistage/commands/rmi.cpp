#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/cli.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "commands/image_commands.h"
#include "engine/containers.h"
#include "image/names.h"

namespace jigsaw::commands {
namespace {

struct RmiOptions {
  std::vector<std::string> images;
  bool force = false;
};

std::string id_of(const image::Store& store, const image::Tag& tag) {
  try {
    return store.read_image(tag.descriptor, tag.name).id().text();
  } catch (const Error&) {
    return tag.descriptor.digest.text();  // a damaged image can be removed too
  }
}

void refuse_if_used(const std::string& name, const std::string& id) {
  for (const engine::Container& container : engine::list(paths())) {
    if (container.image_id == id) {
      throw Error(fmt::format("{} is used by the container {}", name, container.name),
                  fmt::format("remove that first (jigsaw rm {}), or force it with -f", container.name));
    }
  }
}

void remove(const image::Store& store, const std::string& name, bool force) {
  if (force && !image::find_named(store, name)) {  // that it is gone is all that was wanted
    log::warning("no such image: {}", text::quoted(name));
    return;
  }
  const image::Tag tag = image::named(store, name, "see which are here: jigsaw images");
  const std::string id = id_of(store, tag);
  std::vector<std::string> names;
  std::vector<image::Digest> manifests;  // of that image: with its layers packed, and as they were built
  for (const image::Tag& each : store.tags()) {
    if (each.descriptor.digest == tag.descriptor.digest || id_of(store, each) == id) {
      manifests.push_back(each.descriptor.digest);
      if (!each.name.empty()) {
        names.push_back(each.name);
      }
    }
  }
  std::string full;
  try {
    full = image::full_name(name);
  } catch (const Error&) {
    // An id.
  }
  const bool by_name = !full.empty() && full == tag.name;
  if (by_name && names.size() > 1) {
    store.untag(tag.name);
    std::fputs(fmt::format("untagged: {}\n", image::short_name(tag.name)).c_str(), stdout);
    return;
  }
  if (!by_name && names.size() > 1 && !force) {
    throw Error(fmt::format("{} has {} names", name, names.size()),
                "remove them by name, or all at once with -f");
  }
  if (!force) {
    refuse_if_used(name, id);
  }
  for (const image::Digest& manifest : manifests) {
    store.remove_image(manifest);
  }
  for (const std::string& each : names) {
    std::fputs(fmt::format("untagged: {}\n", image::short_name(each)).c_str(), stdout);
  }
  std::fputs(fmt::format("deleted: {}\n", id).c_str(), stdout);
}

int rmi(const RmiOptions& options) {
  const image::Store store = open_store();
  int code = 0;
  {
    const files::Lock lock = store.use();
    for (const std::string& name : options.images) {  // one that can't be removed keeps no other
      const int failed = cli::report_errors("jigsaw", [&] {
        remove(store, name, options.force);
        return 0;
      });
      code = failed != 0 ? failed : code;
    }
  }
  store.collect(image::Store::Wait::kNo);  // if others are at work, what is left goes with a later clean-up
  return code;
}

}  // namespace

void add_rmi(CLI::App& app) {
  static RmiOptions options;
  CLI::App* command = app.add_subcommand("rmi", "remove images");
  command->add_option("image", options.images, "names or ids")->required();
  command->add_flag("-f,--force", options.force, "also with several names, or used by a container; and if it is not there");
  cli::on_run(*command, [] { return rmi(options); });
}

}  // namespace jigsaw::commands
