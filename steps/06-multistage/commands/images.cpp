#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/cli.h"
#include "base/error.h"
#include "base/table.h"
#include "base/text.h"
#include "commands/image_commands.h"
#include "image/names.h"

namespace jigsaw::commands {
namespace {

struct ImagesOptions {
  bool quiet = false;
  bool whole = false;
  bool digests = false;
};

std::string age(const std::string& created) {
  const auto time = text::parse_rfc3339(created);
  return time ? text::human_age(*time) : "";
}

int images(const ImagesOptions& options) {
  const image::Store store = open_store();
  const files::Lock lock = store.use();
  std::vector<std::string> headings = {"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"};
  if (options.digests) {
    headings.insert(headings.begin() + 2, "DIGEST");
  }
  Table table(headings);
  for (const image::Tag& tag : store.tags()) {
    const std::string name = image::short_name(tag.name);
    const size_t colon = name.rfind(':');
    const bool has_tag = colon != std::string::npos && name.find('/', colon) == std::string::npos &&
                         name.find('@') == std::string::npos;
    std::vector<std::string> row = {name.empty() ? "<none>"
                                    : has_tag    ? name.substr(0, colon)
                                                 : name.substr(0, name.find('@')),
                                    has_tag ? name.substr(colon + 1) : "<none>"};
    std::string id = tag.descriptor.digest.hex();
    try {
      const image::Image image = store.read_image(tag.descriptor, tag.name);
      id = image.id().hex();
      row.insert(row.end(), {"", age(image.config.created), text::human_size(image.size())});
    } catch (const Error& error) {
      row.insert(row.end(), {"", "damaged", ""});
    }
    row[2] = options.whole ? "sha256:" + id : id.substr(0, 12);
    if (options.quiet) {
      std::fputs((row[2] + "\n").c_str(), stdout);
    }
    if (options.digests) {
      row.insert(row.begin() + 2, tag.descriptor.digest.text());
    }
    table.add(std::move(row));
  }
  if (!options.quiet) {
    std::fputs(table.text().c_str(), stdout);
  }
  return 0;
}

}  // namespace

void add_images(CLI::App& app) {
  static ImagesOptions options;
  CLI::App* command = app.add_subcommand("images", "list the images that are here");
  command->add_flag("-q,--quiet", options.quiet, "ids only");
  command->add_flag("--no-trunc", options.whole, "whole ids");
  command->add_flag("--digests", options.digests, "also the digests of the manifests");
  cli::on_run(*command, [] { return images(options); });
}

}  // namespace jigsaw::commands
