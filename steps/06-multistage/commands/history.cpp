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

struct HistoryOptions {
  std::string image;
  bool whole = false;
};

std::string shortened(const std::string& text, size_t limit) {
  return text.size() <= limit ? text : text.substr(0, limit - 3) + "...";
}

int history(const HistoryOptions& options) {
  const image::Store store = open_store();
  const files::Lock lock = store.use();
  const image::Tag tag = image::named(store, options.image);
  const image::Image image = store.read_image(tag.descriptor, options.image);
  std::vector<std::vector<std::string>> rows;
  size_t layer = 0;
  for (const image::History& entry : image.config.history) {
    const auto time = text::parse_rfc3339(entry.created);
    const bool has_layer = !entry.empty_layer && layer < image.manifest.layers.size();
    const std::string digest = has_layer ? image.manifest.layers[layer].digest.text() : "";
    const uint64_t size = has_layer ? image.manifest.layers[layer].size : 0;
    layer += has_layer ? 1 : 0;
    rows.push_back({has_layer ? (options.whole ? digest : digest.substr(7, 12)) : "<none>",
                    time ? text::human_age(*time) : "",
                    options.whole ? entry.created_by : shortened(text::printable_line(entry.created_by), 60),
                    text::human_size(size), entry.comment});
  }
  for (; layer < image.manifest.layers.size(); ++layer) {  // layers that the history does not speak of
    const image::Descriptor& blob = image.manifest.layers[layer];
    rows.push_back({options.whole ? blob.digest.text() : blob.digest.short_id(), "", "",
                    text::human_size(blob.size), ""});
  }
  Table table({"LAYER", "CREATED", "CREATED BY", "SIZE", "COMMENT"});
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    table.add(*row);
  }
  std::fputs(table.text().c_str(), stdout);
  return 0;
}

}  // namespace

void add_history(CLI::App& app) {
  static HistoryOptions options;
  CLI::App* command = app.add_subcommand("history", "show how an image was made, the last step first");
  command->add_option("image", options.image, "its name or id")->required();
  command->add_flag("--no-trunc", options.whole, "whole digests and commands");
  cli::on_run(*command, [] { return history(options); });
}

}  // namespace jigsaw::commands
