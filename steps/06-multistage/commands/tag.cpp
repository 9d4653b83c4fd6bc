#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "commands/image_commands.h"
#include "image/names.h"
#include "image/reference.h"

namespace jigsaw::commands {

void add_tag(CLI::App& app) {
  static std::string source;
  static std::string target;
  CLI::App* command = app.add_subcommand("tag", "give an image one more name");
  command->add_option("image", source, "its name or id")->required();
  command->add_option("name", target, "the new name")->required();
  cli::on_run(*command, [] {
    const image::Reference reference = image::parse_reference(target);
    if (!reference.digest.empty()) {
      throw Error("a new name can't hold a digest",
                  "a digest is what the content has, not what it is called");
    }
    const image::Store store = open_store();
    const files::Lock lock = store.use();
    store.tag(image::with_default_tag(reference).text(), image::named(store, source).descriptor);
    return 0;
  });
}

}  // namespace jigsaw::commands
