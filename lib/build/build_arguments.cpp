#include "build/build_arguments.h"

#include <unistd.h>

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "build/checks.h"
#include "build/context_sources.h"
#include "build/graph.h"
#include "build/output.h"

namespace jigsaw::build {
namespace {

std::pair<std::string, std::string> pair_of(const std::string& word, const char* option) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw fail("{} takes NAME=VALUE, not '{}'", option, word);
  }
  return {word.substr(0, equals), word.substr(equals + 1)};
}

// "--build-arg NAME" takes the value of our own variable of that name, if there is one.
void add_argument(std::map<std::string, std::string>& arguments, const std::string& word) {
  if (word.find('=') != std::string::npos) {
    const auto [name, value] = pair_of(word, "--build-arg");
    arguments[name] = value;
  } else if (const char* value = std::getenv(word.c_str())) {
    arguments[word] = value;
  }
}

void add_secret(std::map<std::string, Secret>& secrets, const std::string& word) {
  std::string id;
  std::string type;
  Secret secret;
  for (const std::string_view part : text::split(word, ',')) {
    const auto [key, value] = pair_of(std::string(part), "--secret");
    if (key == "id") {
      id = value;
    } else if (key == "src" || key == "source") {
      secret.file = value;
    } else if (key == "env") {
      secret.environment = value;
    } else if (key == "type") {
      type = value;
    } else {
      throw fail("--secret knows id=, src=, env= and type=, not '{}'", part);
    }
  }
  if (id.empty()) {
    throw fail("--secret needs id=NAME: '{}'", word);
  }
  if (type == "env" && secret.environment.empty()) {
    secret.environment = secret.file.empty() ? id : std::exchange(secret.file, "");
  }
  if (secret.file.empty() && secret.environment.empty()) {
    (std::getenv(id.c_str()) != nullptr && type != "file" ? secret.environment : secret.file) = id;
  }
  secrets[id] = secret;
}

void add_agent(std::map<std::string, std::string>& agents, const std::string& word) {
  const size_t equals = word.find('=');
  const char* own = std::getenv("SSH_AUTH_SOCK");
  const std::string socket = equals != std::string::npos ? word.substr(equals + 1) : own != nullptr ? own : "";
  if (socket.empty()) {
    throw fail("--ssh {}: no agent runs", word).with_hint("start one with ssh-agent, or name its socket: ID=SOCKET");
  }
  agents[word.substr(0, equals)] = socket;
}

PlanOptions plan_options(const BuildOptions& options) {
  PlanOptions plan{.target = options.target, .arguments = options.arguments};
  for (const auto& [name, place] : options.named_contexts) {
    plan.named_contexts.insert(name);
  }
  if (options.platform) {
    plan.target_platform = *options.platform;
  }
  return plan;
}

int check_only(const BuildOptions& options) {
  const image::Store store = image::Store::open(options.paths.root);
  const ContextAndFile input = open_context(store, options);
  const CheckResult result = check_recipe(
      parse_recipe(input.dockerfile),
      {.plan = plan_options(options), .ignore = input.context.ignore.get(), .base_image = {}});
  const std::string text = format_findings(result.findings);
  files::write_all(1, text.empty() ? "no findings\n" : text, "the standard output");
  if (result.fails()) {
    throw result.error();
  }
  return result.findings.empty() ? 0 : 1;
}

int draw(const BuildOptions& options, const std::string& form) {
  const image::Store store = image::Store::open(options.paths.root);
  const ContextAndFile input = open_context(store, options);
  const Graph graph = make_graph(plan_stages(parse_recipe(input.dockerfile), plan_options(options)));
  if (form != "svg" && form != "text") {
    throw fail("--graph is text or svg, not '{}'", form);
  }
  files::write_all(1, form == "svg" ? graph_svg(graph) : graph_text(graph), "the standard output");
  return 0;
}

}  // namespace

BuildOptions parse_arguments(const BuildArguments& words) {
  BuildOptions options{.paths = words.paths,
                       .context = words.context,
                       .dockerfile = words.dockerfile,
                       .target = words.target,
                       .tags = words.tags,
                       .network = words.network,
                       .output = words.output,
                       .iidfile = words.iidfile,
                       .use_cache = !words.no_cache,
                       .uncached_stages = words.uncached_stages,
                       .limits = words.limits,
                       .shm_size = words.shm_size,
                       .pull = words.pull,
                       .explain_cache = words.explain_cache};
  for (const std::string& word : words.arguments) {
    add_argument(options.arguments, word);
  }
  for (const std::string& word : words.named_contexts) {
    options.named_contexts.insert(pair_of(word, "--build-context"));
  }
  for (const std::string& word : words.labels) {
    const size_t equals = word.find('=');
    options.labels[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
  }
  for (const std::string& word : words.secrets) {
    add_secret(options.secrets, word);
  }
  for (const std::string& word : words.ssh) {
    add_agent(options.ssh, word);
  }
  for (const std::string& word : words.cache_from) {
    options.cache_from.push_back(parse_cache_place(word, CacheDirection::kFrom));
  }
  for (const std::string& word : words.cache_to) {
    options.cache_to.push_back(parse_cache_place(word, CacheDirection::kTo));
  }
  if (!words.platform.empty()) {
    options.platform = parse_platform(words.platform);
  }
  if (words.network != "default" && words.network != "none" && words.network != "host") {
    throw fail("--network must be default, none or host, not '{}'", words.network);
  }
  if (!words.on_error.empty() && words.on_error != "shell") {
    throw fail("--on-error must be shell, not '{}'", words.on_error);
  }
  options.shell_on_error = words.on_error == "shell";
  return options;
}

int run_build_command(const BuildArguments& words) {
  BuildOptions options = parse_arguments(words);
  if (words.check) {
    return check_only(options);
  }
  if (!words.graph.empty()) {
    return draw(options, words.graph.front().empty() ? "text" : words.graph.front());
  }
  const std::unique_ptr<EventSink> events =
      make_sink(words.quiet ? Progress::kQuiet : parse_progress(words.progress), duplicate(2).release());
  options.events = events.get();
  const BuildResult result = build(options);
  if (result.steps > 0) {
    events->tell({.kind = Event::Kind::kNote,
                  .text = fmt::format("{} steps, {} of them from the cache", result.steps, result.cached)});
  }
  // With "--output -" the standard output is the archive's.
  const std::optional<OutputPlan> output = parse_output(options.output);
  if (result.image && !(output && output->destination == "-")) {
    files::write_all(1, result.image->text() + "\n", "the standard output");
  }
  return 0;
}

}  // namespace jigsaw::build
