#include "build/image_changes.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/text.h"
#include "build/glob.h"

namespace jigsaw::build {
namespace {

constexpr const char* kComment = "buildkit.dockerfile.v0";

// A Go string literal, as %q prints it.
std::string go_quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': result += "\\\""; break;
      case '\\': result += "\\\\"; break;
      case '\n': result += "\\n"; break;
      case '\t': result += "\\t"; break;
      case '\r': result += "\\r"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
          result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
          result += c;
        }
    }
  }
  return result + "\"";
}

std::string quoted_list(const std::vector<std::string>& words) {
  std::string result;
  for (const std::string& word : words) {
    result += (result.empty() ? "" : " ") + go_quoted(word);
  }
  return "[" + result + "]";
}

std::string plain_list(const std::vector<std::string>& words) { return "[" + text::join(words, " ") + "]"; }

// A duration as Go prints it: "1m30s", "500ms", "0s".
std::string go_duration(std::chrono::nanoseconds duration) {
  const int64_t all = duration.count();
  if (all == 0) {
    return "0s";
  }
  if (all < 1'000'000'000) {
    const auto [unit, name] = all < 1000        ? std::pair{1.0, "ns"}
                              : all < 1'000'000 ? std::pair{1e3, "µs"}
                                                : std::pair{1e6, "ms"};
    return fmt::format("{:.9g}{}", static_cast<double>(all) / unit, name);
  }
  const int64_t minutes = all / 60'000'000'000;
  const std::string seconds = fmt::format("{:.11g}s", static_cast<double>(all % 60'000'000'000) / 1e9);
  if (minutes == 0) {
    return seconds;
  }
  return minutes < 60 ? fmt::format("{}m{}", minutes, seconds)
                      : fmt::format("{}h{}m{}", minutes / 60, minutes % 60, seconds);
}

void set_variable(std::vector<std::string>& environment, StageMemory& memory, const std::string& name, const std::string& value) {
  for (; memory.variables_covered < environment.size(); ++memory.variables_covered) {
    const std::string& entry = environment[memory.variables_covered];
    memory.variables.try_emplace(entry.substr(0, entry.find('=')), memory.variables_covered);
  }
  const auto [place, is_new] = memory.variables.try_emplace(name, environment.size());
  if (is_new) {
    environment.push_back(name + "=" + value);
    ++memory.variables_covered;
  } else {
    environment[place->second] = name + "=" + value;
  }
}

void add_sorted(std::vector<std::string>& list, const std::vector<std::string>& entries) {
  if (entries.size() > 16) {
    list.insert(list.end(), entries.begin(), entries.end());
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    return;
  }
  for (const std::string& entry : entries) {
    const auto at = std::lower_bound(list.begin(), list.end(), entry);
    if (at == list.end() || *at != entry) {
      list.insert(at, entry);
    }
  }
}

// Visits one instruction's body; each returns the text for the history, "" for none.
struct Apply {
  image::ImageConfig& image;
  StageMemory& memory;

  std::vector<std::string> words(const CommandLine& line) const {
    return invocation(line, image.config.shell).words;
  }

  std::string operator()(const Env& env) {
    std::string text = "ENV";
    for (const KeyValue& pair : env.values) {
      text += fmt::format(" {}={}", pair.key, pair.value);
      set_variable(image.config.env, memory, pair.key, pair.value);
    }
    return text;
  }
  std::string operator()(const Arg& arg) {
    std::string text = "ARG";
    for (const Arg::Item& item : arg.items) {
      text += " " + item.key + (item.value ? "=" + *item.value : "");
    }
    return text;
  }
  std::string operator()(const Label& label) {
    std::string text = "LABEL";
    for (const KeyValue& pair : label.values) {
      text += fmt::format(" {}={}", pair.key, pair.value);
      image.config.labels[pair.key] = pair.value;
    }
    return text;
  }
  std::string operator()(const Cmd& cmd) {
    image.config.cmd = words(cmd.command);
    image.config.args_escaped = true;
    memory.cmd_set = true;
    return "CMD " + quoted_list(image.config.cmd);
  }
  std::string operator()(const Entrypoint& entrypoint) {
    image.config.entrypoint = words(entrypoint.command);
    if (!memory.cmd_set) {
      image.config.cmd.clear();
    }
    return "ENTRYPOINT " + quoted_list(image.config.entrypoint);
  }
  std::string operator()(const Healthcheck& check) {
    image.config.healthcheck = image::Healthcheck{check.test,         check.interval,       check.timeout,
                                                  check.start_period, check.start_interval, check.retries};
    return fmt::format("HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
                       plain_list(check.test), go_duration(check.interval), go_duration(check.timeout),
                       go_duration(check.start_period), go_duration(check.start_interval), check.retries);
  }
  std::string operator()(const User& user) {
    image.config.user = user.user;
    return "USER " + user.user;
  }
  std::string operator()(const Volume& volume) {
    add_sorted(image.config.volumes, volume.paths);
    return "VOLUME " + plain_list(volume.paths);
  }
  std::string operator()(const Expose& expose) {
    add_sorted(image.config.exposed_ports, expose.ports);
    return "EXPOSE " + plain_list(expose.ports);
  }
  std::string operator()(const StopSignal& stop) {
    image.config.stop_signal = stop.signal;
    return "STOPSIGNAL " + stop.signal;
  }
  std::string operator()(const Shell& shell) {
    image.config.shell = shell.words;
    return "SHELL " + plain_list(shell.words);
  }
  std::string operator()(const Maintainer& maintainer) {
    image.author = maintainer.name;
    return "MAINTAINER " + maintainer.name;
  }
  std::string operator()(const Workdir& workdir) {
    image.config.working_dir = working_directory(image.config.working_dir, workdir.path);
    return "";
  }
  std::string operator()(const Onbuild& onbuild) {
    image.config.on_build.push_back(onbuild.expression);
    return "";
  }
  std::string operator()(const From&) { return ""; }
  std::string operator()(const Run&) { return ""; }
  std::string operator()(const Copy&) { return ""; }
};

}  // namespace

image::ImageConfig empty_config(const Platform& platform) {
  image::ImageConfig config;
  config.platform.os = platform.os;
  config.platform.architecture = platform.architecture;
  config.platform.variant = platform.variant;
  config.config.working_dir = "/";
  config.config.env = {"PATH=" + std::string(kDefaultPath)};
  return config;
}

void apply_to_config(const Step& step, image::ImageConfig& config, StageMemory& memory) {
  if (std::string text = std::visit(Apply{config, memory}, step.instruction.body); !text.empty()) {
    add_empty_history(config, std::move(text));
  }
}

std::string working_directory(const std::string& current, const std::string& path) {
  if (path.starts_with('/')) {
    return path;
  }
  return join_path(current.empty() ? "/" : current, path);
}

std::string copy_history(const Copy& copy) {
  std::string text = copy.add ? "ADD" : "COPY";
  if (copy.parents) {
    text += " --parents";
  }
  if (!copy.chown.empty()) {
    text += " --chown=" + copy.chown;
  }
  if (!copy.chmod.empty()) {
    text += " --chmod=" + copy.chmod;
  }
  for (const std::string& source : copy.sources) {
    text += " " + source;
  }
  for (const InlineFile& file : copy.files) {
    text += " <<" + file.name;
  }
  return text + " " + copy.destination + " # buildkit";
}

void add_history(image::ImageConfig& config, std::string created_by, const std::string& created) {
  image::History entry;
  entry.created = created;
  entry.created_by = std::move(created_by);
  entry.comment = kComment;
  config.history.push_back(std::move(entry));
}

void add_empty_history(image::ImageConfig& config, std::string created_by) {
  add_history(config, std::move(created_by));
  config.history.back().empty_layer = true;
}

void settle_history(image::ImageConfig& config, size_t inherited, const std::string& now) {
  std::string time;
  for (size_t i = inherited; i < config.history.size() && time.empty(); ++i) {
    time = config.history[i].created;
  }
  if (time.empty()) {
    time = inherited > 0 && !config.history[inherited - 1].created.empty() ? config.history[inherited - 1].created : now;
  }
  for (size_t i = inherited; i < config.history.size(); ++i) {
    image::History& entry = config.history[i];
    if (entry.created.empty()) {
      entry.created = time;
    }
    time = entry.created;
  }
  config.created = time;
}

}  // namespace jigsaw::build
