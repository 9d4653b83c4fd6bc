#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"
#include "commands/image_commands.h"
#include "commands/listing.h"
#include "image/names.h"

namespace jigsaw::commands {
namespace {

struct HistoryOptions {
  std::string image;
  std::string format;
  bool quiet = false;
  bool whole = false;
  bool human = true;
};

std::string shortened(const std::string& text, size_t limit) {
  return text.size() <= limit ? text : text.substr(0, limit - 3) + "...";
}

// A step, and the layer that it made, if it made one.
json::Value row(const HistoryOptions& options, const image::History& entry, const image::Descriptor* layer, uint64_t size) {
  const auto time = text::parse_rfc3339(entry.created);
  return json::Value{
      {"ID", layer == nullptr ? "<none>" : options.whole ? layer->digest.text() : layer->digest.short_id()},
      {"CreatedAt", entry.created},
      {"CreatedSince", !time ? "" : options.human ? text::human_age(*time) : entry.created},
      {"CreatedBy", options.whole ? entry.created_by : shortened(text::printable_line(entry.created_by), 60)},
      {"Size", options.human ? text::human_size(size) : std::to_string(size)},
      {"Comment", entry.comment}};
}

int history(const HistoryOptions& options) {
  const image::Store store = open_store();
  const files::Lock lock = store.use();
  const image::Tag tag = image::named(store, options.image);
  const image::Image image = store.read_image(tag.descriptor, options.image);
  const std::vector<image::Descriptor>& layers = image.manifest.layers;
  const std::vector<uint64_t> sizes = store.layer_sizes(image);
  std::vector<json::Value> rows;
  size_t layer = 0;
  for (const image::History& entry : image.config.history) {
    const bool has_layer = !entry.empty_layer && layer < layers.size();
    rows.push_back(row(options, entry, has_layer ? &layers[layer] : nullptr, has_layer ? sizes[layer] : 0));
    layer += has_layer ? 1 : 0;
  }
  for (; layer < layers.size(); ++layer) {  // layers that the history does not speak of
    rows.push_back(row(options, {}, &layers[layer], sizes[layer]));
  }
  std::reverse(rows.begin(), rows.end());
  const Columns columns = {{"LAYER", "ID"}, {"CREATED", "CreatedSince"}, {"CREATED BY", "CreatedBy"}, {"SIZE", "Size"}, {"COMMENT", "Comment"}};
  std::fputs(listing(rows, columns, options.quiet ? "{{.ID}}" : options.format).c_str(), stdout);
  return 0;
}

}  // namespace

void add_history(CLI::App& app) {
  static HistoryOptions options;
  CLI::App* command = app.add_subcommand("history", "show how an image was made, the last step first");
  command->add_option("image", options.image, "its name or id")->required();
  command->add_option("--format", options.format, kFormatHelp);
  command->add_flag("-q,--quiet", options.quiet, "the layers' digests only");
  command->add_flag("-H,--human{true}", options.human, "=false: sizes in bytes, times in full");
  command->add_flag("--no-trunc", options.whole, "whole digests and commands");
  cli::on_run(*command, [] { return history(options); });
}

}  // namespace jigsaw::commands
