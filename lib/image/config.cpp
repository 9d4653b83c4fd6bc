#include "image/config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace jigsaw::image {
namespace {

using json::Value;
using json::View;

// A JSON object used as a set: {"80/tcp": {}}.
std::vector<std::string> read_set(const View& config, std::string_view key) {
  std::vector<std::string> result;
  if (const auto set = config.find(key)) {
    set->each_member([&](const std::string& name, const View&) { result.push_back(name); });
    std::sort(result.begin(), result.end());
  }
  return result;
}

Value write_set(const std::vector<std::string>& names) {
  Value value = Value::object();
  // Appended, not looked up: an image may expose 65535 ports, and the object is a list.
  auto& members = value.get_ref<Value::object_t&>();
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (seen.insert(name).second) {
      members.emplace_back(name, Value::object());
    }
  }
  return value;
}

std::chrono::nanoseconds read_duration(const View& view, std::string_view key) {
  const auto member = view.find(key);
  return std::chrono::nanoseconds(member ? member->integer(0) : 0);
}

Healthcheck read_healthcheck(const View& view) {
  Healthcheck result{.test = view.strings_or_none("Test"),
                     .interval = read_duration(view, "Interval"),
                     .timeout = read_duration(view, "Timeout"),
                     .start_period = read_duration(view, "StartPeriod"),
                     .start_interval = read_duration(view, "StartInterval")};
  if (const auto retries = view.find("Retries")) {
    result.retries = retries->integer(0);
  }
  return result;
}

Value write_healthcheck(const Healthcheck& check) {
  Value value = Value::object();
  if (!check.test.empty()) {
    value["Test"] = check.test;
  }
  for (const auto& [key, duration] :
       {std::pair{"Interval", check.interval}, std::pair{"Timeout", check.timeout},
        std::pair{"StartPeriod", check.start_period}, std::pair{"StartInterval", check.start_interval}}) {
    if (duration.count() != 0) {
      value[key] = duration.count();
    }
  }
  if (check.retries != 0) {
    value["Retries"] = check.retries;
  }
  return value;
}

RunConfig read_run_config(const View& view) {
  RunConfig result{.user = view.string_or("User", ""),
                   .exposed_ports = read_set(view, "ExposedPorts"),
                   .env = view.strings_or_none("Env"),
                   .entrypoint = view.strings_or_none("Entrypoint"),
                   .cmd = view.strings_or_none("Cmd"),
                   .volumes = read_set(view, "Volumes"),
                   .working_dir = view.string_or("WorkingDir", ""),
                   .labels = {},
                   .stop_signal = view.string_or("StopSignal", ""),
                   .healthcheck = std::nullopt,
                   .shell = view.strings_or_none("Shell"),
                   .on_build = view.strings_or_none("OnBuild"),
                   .args_escaped = view.boolean_or("ArgsEscaped", false)};
  if (const auto labels = view.find("Labels")) {
    result.labels = labels->string_map();
  }
  if (const auto check = view.find("Healthcheck")) {
    result.healthcheck = read_healthcheck(*check);
  }
  return result;
}

Value write_run_config(const RunConfig& config) {
  Value value = Value::object();
  const auto text = [&](const char* key, const std::string& what) {
    if (!what.empty()) {
      value[key] = what;
    }
  };
  const auto list = [&](const char* key, const std::vector<std::string>& what) {
    if (!what.empty()) {
      value[key] = what;
    }
  };
  text("User", config.user);
  if (!config.exposed_ports.empty()) {
    value["ExposedPorts"] = write_set(config.exposed_ports);
  }
  list("Env", config.env);
  list("Entrypoint", config.entrypoint);
  list("Cmd", config.cmd);
  if (config.args_escaped) {
    value["ArgsEscaped"] = true;
  }
  if (config.healthcheck) {
    value["Healthcheck"] = write_healthcheck(*config.healthcheck);
  }
  if (!config.volumes.empty()) {
    value["Volumes"] = write_set(config.volumes);
  }
  text("WorkingDir", config.working_dir);
  list("OnBuild", config.on_build);
  if (!config.labels.empty()) {
    value["Labels"] = config.labels;
  }
  text("StopSignal", config.stop_signal);
  list("Shell", config.shell);
  return value;
}

// RFC 3339, 5.6, as narrow as Go's reader takes it: "2006-01-02T15:04:05.999+07:00". What others can't read is refused here too.
bool is_time(std::string_view text) {
  const auto number = [&](size_t at, size_t digits, unsigned least, unsigned most) {
    unsigned value = 0;
    for (size_t i = at; i < at + digits; ++i) {
      if (i >= text.size() || text[i] < '0' || text[i] > '9') {
        return false;
      }
      value = value * 10 + static_cast<unsigned>(text[i] - '0');
    }
    return value >= least && value <= most;
  };
  const auto is = [&](size_t at, std::string_view marks) { return at < text.size() && marks.find(text[at]) != std::string_view::npos; };
  if (!number(0, 4, 0, 9999) || !is(4, "-") || !number(5, 2, 1, 12) || !is(7, "-") || !number(8, 2, 1, 31) || !is(10, "T") ||
      !number(11, 2, 0, 23) || !is(13, ":") || !number(14, 2, 0, 59) || !is(16, ":") || !number(17, 2, 0, 59)) {
    return false;
  }
  size_t at = 19;
  if (is(at, ".")) {
    const size_t digits = text.find_first_not_of("0123456789", at + 1);
    if (digits == at + 1 || digits == std::string_view::npos) {
      return false;
    }
    at = digits;
  }
  const bool zone = is(at, "+-") && number(at + 1, 2, 0, 24) && is(at + 3, ":") && number(at + 4, 2, 0, 60) && text.size() == at + 6;
  return zone || text.substr(at) == "Z";
}

std::string read_time(const View& view) {
  const auto time = view.find("created");
  if (!time) {
    return "";
  }
  std::string text = time->string();
  if (!is_time(text)) {
    time->refuse("is no time of RFC 3339", "write it as 2006-01-02T15:04:05Z");
  }
  return text;
}

Digest read_diff_id(const View& view) {
  const std::string text = view.string();
  if (auto digest = Digest::try_parse(text)) {
    return *digest;
  }
  view.refuse(fmt::format("is no digest: {}", text::quoted(text)));
}

std::vector<Digest> read_diff_ids(const View& root) {
  const View rootfs = root.at("rootfs");
  refuse_look_alikes(rootfs, {"type", "diff_ids"});
  if (rootfs.string_or("type", "layers") != "layers") {
    rootfs.at("type").refuse("must be \"layers\"");
  }
  std::vector<Digest> result;
  if (const auto list = rootfs.find("diff_ids")) {
    if (list->size() > kLayersLimit) {
      list->refuse(fmt::format("has more than {} layers", kLayersLimit));
    }
    list->each([&](const View& each) { result.push_back(read_diff_id(each)); });
  }
  return result;
}

Value write_history(const History& entry) {
  Value value = Value::object();
  for (const auto& [key, what] : {std::pair{"created", &entry.created}, std::pair{"created_by", &entry.created_by},
                                  std::pair{"author", &entry.author}, std::pair{"comment", &entry.comment}}) {
    if (!what->empty()) {
      value[key] = *what;
    }
  }
  if (entry.empty_layer) {
    value["empty_layer"] = true;
  }
  return value;
}

}  // namespace

ImageConfig parse_config(std::string_view text, std::string_view name) {
  const json::Document document{std::string(text), std::string(name)};
  const View root = document.root();
  refuse_look_alikes(root, {"architecture", "os", "config", "rootfs", "history"});
  ImageConfig result{.created = read_time(root),
                     .author = root.string_or("author", ""),
                     .platform = {.os = root.string_or("os", ""),
                                  .architecture = root.string_or("architecture", ""),
                                  .variant = root.string_or("variant", ""),
                                  .os_version = root.string_or("os.version", ""),
                                  .os_features = root.strings_or_none("os.features")},
                     .config = {},
                     .diff_ids = read_diff_ids(root),
                     .history = {}};
  if (const auto config = root.find("config")) {
    result.config = read_run_config(*config);
  }
  if (const auto history = root.find("history")) {
    history->each([&](const View& each) {
      result.history.push_back(History{.created = read_time(each),
                                       .created_by = each.string_or("created_by", ""),
                                       .author = each.string_or("author", ""),
                                       .comment = each.string_or("comment", ""),
                                       .empty_layer = each.boolean_or("empty_layer", false)});
    });
  }
  return result;
}

std::string write_config(const ImageConfig& config) {
  Value value = Value::object();
  const auto text = [&](const char* key, const std::string& what) {
    if (!what.empty()) {
      value[key] = what;
    }
  };
  text("created", config.created);
  text("author", config.author);
  value["architecture"] = config.platform.architecture;
  value["os"] = config.platform.os;
  text("variant", config.platform.variant);
  text("os.version", config.platform.os_version);
  if (!config.platform.os_features.empty()) {
    value["os.features"] = config.platform.os_features;
  }
  value["config"] = write_run_config(config.config);
  Value diff_ids = Value::array();
  for (const Digest& diff_id : config.diff_ids) {
    diff_ids.push_back(diff_id.text());
  }
  value["rootfs"] = Value{{"type", "layers"}, {"diff_ids", std::move(diff_ids)}};
  if (!config.history.empty()) {
    value["history"] = Value::array();
    for (const History& entry : config.history) {
      value["history"].push_back(write_history(entry));
    }
  }
  return json::dump(value);
}

std::vector<Digest> chain_ids(const std::vector<Digest>& diff_ids) {
  std::vector<Digest> result;
  for (const Digest& diff_id : diff_ids) {
    result.push_back(result.empty() ? diff_id
                                    : digest_of(fmt::format("{} {}", result.back().text(), diff_id.text())));
  }
  return result;
}

void check_is_image(const Manifest& manifest, std::string_view name) {
  const std::string& type = manifest.config.media_type;
  if (type != media::kConfig && type != media::kDockerConfig) {
    throw fail("{} is no container image: its config is of type {}", name, text::quoted(type));
  }
}

void check_agreement(const Manifest& manifest, const ImageConfig& config, std::string_view name) {
  if (manifest.layers.size() != config.diff_ids.size()) {
    throw Error(fmt::format("{}: the manifest has {} layers, but the config has {} diff_ids", name,
                            manifest.layers.size(), config.diff_ids.size()),
                "the image is broken or was made to mislead; nothing of it is used");
  }
}

}  // namespace jigsaw::image
