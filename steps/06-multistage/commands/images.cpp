#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"
#include "commands/image_commands.h"
#include "commands/image_filters.h"
#include "commands/listing.h"
#include "image/names.h"

namespace jigsaw::commands {
namespace {

struct ImagesOptions {
  std::string name;
  std::vector<std::string> filters;
  std::string format;
  bool all = false;
  bool quiet = false;
  bool whole = false;
  bool digests = false;
};

std::string age(const std::string& created) {
  const auto time = text::parse_rfc3339(created);
  return time ? text::human_age(*time) : "";
}

json::Value described(const image::Store& store, const ListedImage& listed, const ImagesOptions& options) {
  const std::string id = (listed.image ? listed.image->id() : listed.tag.descriptor.digest).hex();
  return json::Value{{"Repository", listed.repository.empty() ? "<none>" : listed.repository},
                     {"Tag", listed.version.empty() ? "<none>" : listed.version},
                     {"Digest", listed.tag.descriptor.digest.text()},
                     {"ID", options.whole ? "sha256:" + id : id.substr(0, 12)},
                     {"CreatedAt", listed.image ? listed.image->config.created : ""},
                     {"CreatedSince", listed.image ? age(listed.image->config.created) : "damaged"},
                     {"Size", listed.image ? text::human_size(store.size(*listed.image)) : ""}};
}

int images(const ImagesOptions& options) {
  const image::Store store = open_store();
  const files::Lock lock = store.use();
  std::vector<std::string> filters = options.filters;
  if (!options.name.empty()) {
    filters.push_back("reference=" + options.name);
  }
  const ImageFilter wanted(store, filters);
  std::vector<json::Value> rows;
  std::set<std::string> seen;
  for (const ListedImage& listed : list_images(store)) {
    if (!wanted.takes(listed)) {
      continue;
    }
    json::Value row = described(store, listed, options);
    if (!options.quiet || seen.insert(row["ID"].get<std::string>()).second) {
      rows.push_back(std::move(row));
    }
  }
  Columns columns = {{"REPOSITORY", "Repository"}, {"TAG", "Tag"}, {"IMAGE ID", "ID"}, {"CREATED", "CreatedSince"}, {"SIZE", "Size"}};
  if (options.digests) {
    columns.insert(columns.begin() + 2, {"DIGEST", "Digest"});
  }
  std::fputs(listing(rows, columns, options.quiet ? "{{.ID}}" : options.format).c_str(), stdout);
  return 0;
}

}  // namespace

void add_images(CLI::App& app) {
  static ImagesOptions options;
  CLI::App* command = app.add_subcommand("images", "list the images that are here");
  command->add_option("name", options.name, "only those of this name, with * and ? as in a shell");
  command->add_option("-f,--filter", options.filters,
                      "dangling=true, reference=PATTERN, label=KEY[=VALUE], before=IMAGE or since=IMAGE; all that are given count")
      ->allow_extra_args(false);
  command->add_option("--format", options.format, kFormatHelp);
  command->add_flag("-q,--quiet", options.quiet, "ids only");
  command->add_flag("--no-trunc", options.whole, "whole ids");
  command->add_flag("--digests", options.digests, "also the digests of the manifests");
  command->add_flag("-a,--all", options.all, "accepted for docker's sake: there are no images between others here");
  cli::on_run(*command, [] { return images(options); });
}

}  // namespace jigsaw::commands
