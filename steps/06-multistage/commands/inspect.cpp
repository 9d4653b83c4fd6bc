#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "base/cli.h"
#include "base/error.h"
#include "base/json.h"
#include "base/template.h"
#include "base/text.h"
#include "commands/image_commands.h"
#include "engine/containers.h"
#include "image/names.h"

namespace jigsaw::commands {
namespace {

struct InspectOptions {
  std::vector<std::string> names;
  std::string format;
  std::string type;
};

json::Value image_value(const image::Store& store, const image::Tag& tag, const std::string& name) {
  const image::Image image = store.read_image(tag.descriptor, name);
  const json::Value config = json::parse(image.config_text, name);
  json::Value tags = json::Value::array();
  std::set<std::string> digests;
  for (const image::Tag& each : store.tags()) {
    if (each.descriptor.digest == tag.descriptor.digest && !each.name.empty()) {
      const std::string shown = image::short_name(each.name);
      if (shown.find('@') == std::string::npos) {
        tags.push_back(shown);
      }
      digests.insert(fmt::format("{}@{}", shown.substr(0, std::min(shown.find('@'), shown.rfind(':'))), tag.descriptor.digest.text()));
    }
  }
  json::Value layers = json::Value::array();
  for (const image::Digest& diff_id : image.config.diff_ids) {
    layers.push_back(diff_id.text());
  }
  return json::Value{{"Id", image.id().text()},
                     {"Digest", image.descriptor.digest.text()},
                     {"RepoTags", tags},
                     {"RepoDigests", digests},
                     {"Created", image.config.created},
                     {"Author", image.config.author},
                     {"Architecture", image.config.platform.architecture},
                     {"Variant", image.config.platform.variant},
                     {"Os", image.config.platform.os},
                     {"Size", store.size(image)},
                     {"Config", config.contains("config") ? config["config"] : json::Value::object()},
                     {"RootFS", json::Value{{"Type", "layers"}, {"Layers", layers}}},
                     {"Manifest", json::parse(image::write_manifest(image.manifest), name)}};
}

json::Value container_value(const engine::Container& container) {
  return json::Value{{"Id", container.id},
                     {"Name", container.name},
                     {"Created", text::rfc3339(container.created)},
                     {"Image", container.image_id},
                     {"ImageName", container.image},
                     {"Args", container.command},
                     {"State", json::Value{{"Status", std::string(engine::name(container.status))},
                                           {"Running", container.status == engine::Status::kRunning},
                                           {"ExitCode", container.exit_code},
                                           {"Reason", container.reason}}}};
}

json::Value inspected(const image::Store& store, const std::string& name, const std::string& type) {
  if (type != "image") {
    try {
      return container_value(engine::find(paths(), name));
    } catch (const Error&) {
      if (type == "container") {
        throw;
      }
    }
  }
  if (type.empty() && !image::find_named(store, name)) {
    throw Error(fmt::format("no such image or container: {}", text::quoted(name)), "jigsaw images and jigsaw ps --all list them");
  }
  return image_value(store, image::named(store, name), name);
}

int inspect(const InspectOptions& options) {
  if (!options.type.empty() && options.type != "image" && options.type != "container") {
    throw fail("--type is image or container, not {}", text::quoted(options.type));
  }
  const image::Store store = open_store();
  const files::Lock lock = store.use();
  json::Value all = json::Value::array();
  for (const std::string& name : options.names) {
    all.push_back(inspected(store, name, options.type));
  }
  if (options.format.empty()) {
    std::fputs(json::dump_pretty(all).c_str(), stdout);
  } else if (options.format == "json") {
    std::fputs((json::dump(all) + "\n").c_str(), stdout);
  } else {
    for (const json::Value& each : all) {
      std::fputs((expand_template(options.format, each) + "\n").c_str(), stdout);
    }
  }
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app) {
  static InspectOptions options;
  CLI::App* command =
      app.add_subcommand("inspect", "show all that is known of images and containers, as JSON");
  command->add_option("name", options.names, "names or ids")->required();
  command->add_option("-f,--format", options.format,
                      "json, or a template such as {{.Config.Cmd}} or {{json .Config}}");
  command->add_option("--type", options.type, "image or container, if both have that name");
  cli::on_run(*command, [] { return inspect(options); });
}

}  // namespace jigsaw::commands
