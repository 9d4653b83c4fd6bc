#include "build/instructions.h"

#include <algorithm>
#include <functional>
#include <map>

#include "base/text.h"
#include "build/instruction_parts.h"
#include "build/words.h"

namespace jigsaw::build {
namespace {

// A field of letters, digits, '-', '_' and '.', a letter first: what a stage may be called.
bool is_stage_name(std::string_view name) {
  return !name.empty() && name[0] >= 'a' && name[0] <= 'z' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

void no_flags(const Statement& statement) { FlagValues(statement, {}); }

// The whole rest of the line, as WORKDIR, USER, STOPSIGNAL and MAINTAINER take it.
std::string one_argument(const Statement& statement, std::string_view example) {
  no_flags(statement);
  if (statement.arguments.empty()) {
    throw statement.keyword_place().error(
        fmt::format("{} requires exactly one argument", text::upper(statement.keyword)),
        fmt::format("for example {} {}", text::upper(statement.keyword), example));
  }
  return statement.arguments;
}

From parse_from(const Statement& statement) {
  const FlagValues flags(statement, {{"platform", FlagKind::kText}});
  const std::vector<Word> words = split_blanks(statement.arguments);
  From from{.platform = flags.text("platform")};
  if (words.empty()) {
    throw statement.keyword_place().error("FROM requires either one or three arguments: FROM image, or FROM image AS name",
                                          "write FROM scratch to start with nothing");
  }
  from.image = words[0].text;
  if (words.size() == 1) {
    return from;
  }
  const auto at = [&](const Word& word) {
    return statement.place(statement.arguments_offset + word.offset, word.text.size());
  };
  if (words.size() != 3 || text::lower(words[1].text) != "as") {
    throw at(words[1]).error("FROM requires either one or three arguments: FROM image, or FROM image AS name",
                             words.size() == 2 && text::lower(words[1].text) == "as"
                                 ? "the stage name is missing after AS"
                                 : "name a stage with AS; one FROM names one image");
  }
  from.as_keyword = words[1].text;
  from.name_as_written = words[2].text;
  from.name = text::lower(words[2].text);
  if (!is_stage_name(from.name)) {
    throw at(words[2]).error(fmt::format("invalid name for build stage: {}", text::quoted(words[2].text)),
                             "it starts with a letter, then come letters, digits, '-', '_' or '.'");
  }
  return from;
}

std::vector<KeyValue> parse_pairs(const Statement& statement) {
  const std::string name = text::upper(statement.keyword);
  no_flags(statement);
  const std::string_view arguments = statement.arguments;
  const std::vector<Word> words = split_quoted(arguments, statement.escape);
  if (words.empty()) {
    throw statement.keyword_place().error(fmt::format("{} requires at least one argument", name),
                                          fmt::format("for example {} NAME=value", name));
  }
  if (words[0].text.find('=') == std::string::npos) {
    const size_t blank = arguments.find_first_of(" \t\v\f\r");
    if (blank == std::string_view::npos) {
      throw statement.arguments_place().error(fmt::format("{} must have two arguments: a name and a value", name),
                                              fmt::format("write {} {}=value", name, words[0].text));
    }
    return {{.key = std::string(arguments.substr(0, blank)),
             .value = std::string(trim_blanks(arguments.substr(blank))),
             .legacy_form = true}};
  }
  std::vector<KeyValue> pairs;
  for (const Word& word : words) {
    const size_t equals = word.text.find('=');
    const Place place = statement.place(statement.arguments_offset + word.offset, word.text.size());
    if (equals == std::string::npos) {
      throw place.error(fmt::format("can't find = in {}: it must be of the form: name=value", text::quoted(word.text)),
                        "put a value with blanks into quotes: NAME=\"two words\"");
    }
    if (equals == 0) {
      throw place.error(fmt::format("{} names can not be blank", name), "write name=value, without a blank before =");
    }
    pairs.push_back({.key = word.text.substr(0, equals), .value = word.text.substr(equals + 1)});
  }
  return pairs;
}

Arg parse_arg(const Statement& statement) {
  no_flags(statement);
  const std::vector<Word> words = split_quoted(statement.arguments, statement.escape);
  if (words.empty()) {
    throw statement.keyword_place().error("ARG requires at least one argument", "write ARG NAME or ARG NAME=default");
  }
  Arg arg;
  for (const Word& word : words) {
    const size_t equals = word.text.find('=');
    if (equals == 0) {
      throw statement.place(statement.arguments_offset + word.offset, word.text.size())
          .error("ARG names can not be blank", "write ARG NAME=default");
    }
    arg.items.push_back({.key = word.text.substr(0, equals),
                         .value = equals == std::string::npos ? std::nullopt
                                                              : std::optional(word.text.substr(equals + 1))});
  }
  return arg;
}

Volume parse_volume(const Statement& statement) {
  no_flags(statement);
  Volume volume;
  if (auto words = json_arguments(statement, statement.arguments)) {
    volume.paths = std::move(*words);
  } else {
    for (Word& word : split_blanks(statement.arguments)) {
      volume.paths.push_back(std::move(word.text));
    }
  }
  if (volume.paths.empty()) {
    throw statement.keyword_place().error("VOLUME requires at least one argument", "for example VOLUME /data");
  }
  for (std::string& path : volume.paths) {
    path = text::trim(path);
    if (path.empty()) {
      throw statement.arguments_place().error("VOLUME specified can not be an empty string", "for example VOLUME /data");
    }
  }
  return volume;
}

Expose parse_expose(const Statement& statement) {
  no_flags(statement);
  Expose expose;
  for (Word& word : split_blanks(statement.arguments)) {
    expose.ports.push_back(std::move(word.text));
  }
  if (expose.ports.empty()) {
    throw statement.keyword_place().error("EXPOSE requires at least one argument", "for example EXPOSE 8080");
  }
  std::sort(expose.ports.begin(), expose.ports.end());
  return expose;
}

Shell parse_shell(const Statement& statement) {
  no_flags(statement);
  auto words = json_arguments(statement, statement.arguments);
  if (!words) {
    throw statement.arguments_place().error("SHELL requires the arguments to be in JSON form",
                                            "for example SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]");
  }
  if (words->empty()) {
    throw statement.arguments_place().error("SHELL requires at least one argument", "for example SHELL [\"/bin/sh\", \"-c\"]");
  }
  return {std::move(*words)};
}

CommandLine parse_plain_command(const Statement& statement) {
  no_flags(statement);
  return parse_command_line(statement);
}

Onbuild parse_onbuild(const Statement& statement) {
  no_flags(statement);
  if (statement.arguments.empty()) {
    throw statement.keyword_place().error("ONBUILD requires at least one argument: an instruction", "for example ONBUILD COPY . /app");
  }
  const Statement inner = sub_statement(statement);
  const std::string name = text::upper(inner.keyword);
  if (name == "ONBUILD") {
    throw inner.keyword_place().error("chaining ONBUILD isn't allowed: ONBUILD is no ONBUILD trigger", "triggers run once, in the next build only");
  }
  if (name == "FROM" || name == "MAINTAINER") {
    throw inner.keyword_place().error(fmt::format("{} isn't allowed as an ONBUILD trigger", name));
  }
  parse_instruction(inner);
  Onbuild onbuild{.expression = inner.text};
  for (const Heredoc& heredoc : inner.heredocs) {
    onbuild.expression += "\n" + heredoc.content + heredoc.name;
  }
  return onbuild;
}

using Parse = std::function<Body(const Statement&)>;

const std::map<std::string, Parse>& parsers() {
  static const std::map<std::string, Parse> kParsers = {
      {"ADD", [](const Statement& s) { return parse_copy(s, CopyKind::kAdd); }},
      {"ARG", parse_arg},
      {"CMD", [](const Statement& s) { return Cmd{parse_plain_command(s)}; }},
      {"COPY", [](const Statement& s) { return parse_copy(s, CopyKind::kCopy); }},
      {"ENTRYPOINT", [](const Statement& s) { return Entrypoint{parse_plain_command(s)}; }},
      {"ENV", [](const Statement& s) { return Env{parse_pairs(s)}; }},
      {"EXPOSE", parse_expose},
      {"FROM", parse_from},
      {"HEALTHCHECK", parse_healthcheck},
      {"LABEL", [](const Statement& s) { return Label{parse_pairs(s)}; }},
      {"MAINTAINER", [](const Statement& s) { return Maintainer{one_argument(s, "\"A. Person <a@example.org>\"")}; }},
      {"ONBUILD", parse_onbuild},
      {"RUN", parse_run},
      {"SHELL", parse_shell},
      {"STOPSIGNAL", [](const Statement& s) { return StopSignal{one_argument(s, "SIGTERM")}; }},
      {"USER", [](const Statement& s) { return User{one_argument(s, "1000:1000")}; }},
      {"VOLUME", parse_volume},
      {"WORKDIR", [](const Statement& s) { return Workdir{one_argument(s, "/srv")}; }},
  };
  return kParsers;
}

void add_to(Recipe& recipe, Instruction instruction) {
  if (std::holds_alternative<From>(instruction.body)) {
    recipe.stages.push_back({std::move(instruction), {}});
  } else if (!recipe.stages.empty()) {
    recipe.stages.back().instructions.push_back(std::move(instruction));
  } else if (std::holds_alternative<Arg>(instruction.body)) {
    recipe.global_arguments.push_back(std::move(instruction));
  } else {
    throw instruction.place.error(
        fmt::format("no build stage in current context: {} stands before the first FROM", instruction.name()),
        "a Dockerfile starts with FROM; only ARG, comments and parser directives may stand before it");
  }
}

}  // namespace

std::string Instruction::name() const { return text::upper(keyword); }

Instruction parse_instruction(const Statement& statement) {
  const std::string name = text::upper(statement.keyword);
  const auto parser = parsers().find(name);
  if (parser == parsers().end()) {
    std::vector<std::string> names;
    for (const auto& [known, parse] : parsers()) {
      names.push_back(known);
    }
    throw statement.keyword_place().error(
        fmt::format("unknown instruction: {}{}", text::printable_line(statement.keyword.substr(0, 80)),
                    text::did_you_mean(name, names)),
        "each line starts with an instruction; a line that goes on needs \\ at its end");
  }
  return {.keyword = statement.keyword,
          .text = std::string(trim_blanks(statement.text)),
          .place = statement.place(0, statement.text.size()),
          .comments = statement.comments,
          .body = parser->second(statement)};
}

Instruction parse_trigger(const std::string& expression, const std::string& image) {
  const Dockerfile file = parse_dockerfile(make_source("ONBUILD of " + image, expression));
  if (file.statements.size() != 1) {
    throw fail("ONBUILD of {}: a trigger must be one instruction", image);
  }
  const Statement& statement = file.statements.front();
  const std::string name = text::upper(statement.keyword);
  if (name == "FROM" || name == "ONBUILD" || name == "MAINTAINER") {
    throw statement.keyword_place().error(fmt::format("{} isn't allowed as an ONBUILD trigger", name));
  }
  return parse_instruction(statement);
}

Recipe parse_recipe(const Source& source) {
  Recipe recipe{.file = parse_dockerfile(source)};
  if (recipe.file.statements.size() > kInstructionLimit) {
    throw recipe.file.statements[kInstructionLimit].keyword_place().error(fmt::format("more than {} instructions", kInstructionLimit));
  }
  for (const Statement& statement : recipe.file.statements) {
    add_to(recipe, parse_instruction(statement));
  }
  if (recipe.stages.empty()) {
    throw Error(fmt::format("{}: there are no stages to build: no FROM", source->name),
                "a Dockerfile starts with FROM: FROM scratch, or FROM and the name of an image");
  }
  return recipe;
}

}  // namespace jigsaw::build
