#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"
#include "commands/image_commands.h"
#include "engine/containers.h"
#include "image/diff.h"
#include "image/names.h"
#include "unionfs/changes.h"

namespace jigsaw::commands {
namespace {

std::vector<std::string> lowers_of(const image::Store& store, const std::string& name) {
  const image::Tag tag = image::named(store, name);
  return store.lower_directories(store.unpack_image(store.read_image(tag.descriptor, name), {}));
}

int of_images(const std::string& before, const std::string& after) {
  const image::Store store = open_store();
  const files::Lock lock = store.use();
  for (const image::Difference& each : image::difference(lowers_of(store, before), lowers_of(store, after))) {
    std::fputs(fmt::format("{} {}{}{}\n", static_cast<char>(each.kind), text::printable_line(each.path),
                           each.detail.empty() ? "" : "   ", each.detail)
                   .c_str(),
               stdout);
  }
  return 0;
}

int of_container(const std::string& name) {
  const engine::Container container = engine::find(paths(), name);
  const image::Store store = open_store();
  const files::Lock lock = store.use();
  const std::string upper = engine::changes(paths(), container.id);
  for (const unionfs::Change& each :
       unionfs::changes(upper, lowers_of(store, container.image_id), unionfs::usable_xattrs())) {
    std::fputs(fmt::format("{} {}\n", static_cast<char>(each.kind), text::printable_line(each.path)).c_str(),
               stdout);
  }
  return 0;
}

}  // namespace

void add_diff(CLI::App& app) {
  static std::string first;
  static std::string second;
  CLI::App* command =
      app.add_subcommand("diff", "show what differs between two images, or what a container wrote");
  command->add_option("image", first, "an image, or a container if no second one is named")->required();
  command->add_option("other", second, "the image to compare it with");
  cli::on_run(*command, [] { return second.empty() ? of_container(first) : of_images(first, second); });
}

}  // namespace jigsaw::commands
