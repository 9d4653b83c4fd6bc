#include "build/build_arguments.h"

#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/interruption.h"
#include "base/text.h"
#include "build/docker_flags.h"
#include "build/output.h"
#include "build/picture.h"

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
  struct stat status {};
  if (::stat(socket.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode)) {
    throw fail("--ssh {}: {} is no agent's socket", word, socket)
        .with_hint("a key's file is not read: load it into an agent, ssh-add " + text::shell_word(socket));
  }
  agents[word.substr(0, equals)] = socket;
}

// "NAME:ADDRESS" or "NAME=ADDRESS"; an IPv6 address may stand in brackets.
void add_host(BuildOptions& options, const std::string& word) {
  const size_t end = word.find_first_of("=:");
  std::string address = end == std::string::npos ? "" : word.substr(end + 1);
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  in6_addr parsed{};
  if (address == "host-gateway") {
    throw fail("--add-host {}: there is no gateway to the host", word)
        .with_hint("RUN has the host's own network (or none): name 127.0.0.1");
  }
  if (end == 0 || end == std::string::npos || word.substr(0, end).find_first_of(" \t\n") != std::string::npos ||
      (::inet_pton(AF_INET, address.c_str(), &parsed) != 1 && ::inet_pton(AF_INET6, address.c_str(), &parsed) != 1)) {
    throw fail("--add-host takes NAME:ADDRESS, not {}", text::quoted(word)).with_hint("for example db:10.0.0.5");
  }
  options.hosts.emplace_back(word.substr(0, end), address);
}

// "KEY=VALUE" with an optional "manifest:" in front; an index, which could have others, is not made.
void add_annotation(std::map<std::string, std::string>& annotations, const std::string& word) {
  auto [key, value] = pair_of(word, "--annotation");
  if (const size_t colon = key.find(':'); colon != std::string::npos) {
    const std::string level = key.substr(0, colon);
    if (level.starts_with("index") || level.starts_with("manifest-descriptor")) {
      throw fail("--annotation {}: the image has no index that could be annotated", word)
          .with_hint("write it without the '" + level + ":'");
    }
    if (level == "manifest" || level.starts_with("manifest[")) {
      key = key.substr(colon + 1);
    }
  }
  annotations[key] = value;
}

BuildResult build_or_be_interrupted(const BuildOptions& options) {
  const Interruption interruption("the finished steps are kept: the next build goes on from there");
  try {
    return build(options);
  } catch (const Error&) {
    Interruption::check();  // whatever it says, that was the cause
    throw;
  }
}

int check_only(const BuildOptions& options) {
  const CheckResult result = check_of(options);
  files::write_all(1, format_findings(result.findings), "the standard output");
  if (result.fails()) {
    throw result.error();
  }
  return result.findings.empty() ? 0 : 1;
}

int draw(const BuildOptions& options, const std::string& form) {
  const Graph graph = picture_of(options);
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
                       .cgroup_parent = words.cgroup_parent,
                       .metadata_file = words.metadata_file,
                       .push = words.push,
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
  for (const std::string& word : words.hosts) {
    add_host(options, word);
  }
  for (const std::string& word : words.annotations) {
    add_annotation(options.annotations, word);
  }
  if (const std::optional<OutputPlan> output = parse_output(words.output)) {
    options.tags.insert(options.tags.end(), output->names.begin(), output->names.end());
    options.annotations.insert(output->annotations.begin(), output->annotations.end());
    options.push = options.push || output->push;
  }
  check_docker_flags(words.docker_flags);
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
  if (words.call != "build" && words.call != "check" && words.call != "lint" && !words.call.empty()) {
    throw fail("--call is build or check, not '{}'", words.call)
        .with_hint("the stages are shown by jigsaw build --graph");
  }
  if (words.check || words.call == "check" || words.call == "lint") {
    return check_only(options);
  }
  if (!words.graph.empty()) {
    std::string form = words.graph.front().empty() ? "text" : words.graph.front();
    if (form != "svg" && form != "text") {
      if (words.context != ".") {
        throw fail("--graph is text or svg, not '{}'", form);
      }
      options.context = std::exchange(form, "text");  // "--graph DIR": the word is the context
    }
    return draw(options, form);
  }
  std::unique_ptr<EventSink> events =
      make_sink(words.quiet ? Progress::kQuiet : parse_progress(words.progress), duplicate(2).release());
  options.events = events.get();
  const BuildResult result = build_or_be_interrupted(options);
  for (const std::string& line : result.warnings) {
    events->tell({.kind = Event::Kind::kNote, .text = line});
  }
  if (result.steps > 0) {
    events->tell({.kind = Event::Kind::kNote,
                  .text = fmt::format("{} steps, {} of them from the cache", result.steps, result.cached)});
  }
  events.reset();  // all is shown by then
  // With "--output -" the standard output is the archive's.
  const std::optional<OutputPlan> output = parse_output(options.output);
  if (result.image && !(output && output->destination == "-")) {
    files::write_all(1, result.image->text() + "\n", "the standard output");
  }
  return 0;
}

}  // namespace jigsaw::build
