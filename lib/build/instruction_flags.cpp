#include <algorithm>

#include "base/text.h"
#include "build/instruction_parts.h"
#include "build/words.h"

namespace jigsaw::build {
namespace {

std::vector<std::string> names_of(std::initializer_list<FlagSpec> known) {
  std::vector<std::string> names;
  for (const FlagSpec& spec : known) {
    names.push_back("--" + spec.name);
  }
  return names;
}

std::string switch_value(const Place& place, const std::string& name, const std::optional<std::string>& value) {
  const std::string lower = text::lower(value.value_or("true"));
  if (lower != "true" && lower != "false") {
    throw place.error(fmt::format("expecting boolean value for flag --{}, not: {}", name, *value),
                      fmt::format("write just --{}", name));
  }
  return lower;
}

}  // namespace

FlagValues::FlagValues(const Statement& statement, std::initializer_list<FlagSpec> known) : statement_(statement) {
  for (const Flag& flag : statement.flags) {
    const size_t equals = flag.text.find('=');
    const std::string name = flag.text.substr(2, equals == std::string::npos ? equals : equals - 2);
    std::optional<std::string> value;
    if (equals != std::string::npos) {
      value = flag.text.substr(equals + 1);
    }
    const Place place = statement.place(flag.offset, flag.text.size());
    const auto* spec = std::find_if(known.begin(), known.end(), [&](const FlagSpec& s) { return s.name == name; });
    const std::string instruction = text::upper(statement.keyword);
    if (spec == known.end()) {
      const std::vector<std::string> names = names_of(known);
      throw place.error(
          fmt::format("unknown flag: --{}{}", name, text::did_you_mean("--" + name, names)),
          names.empty() ? fmt::format("{} takes no flags", instruction)
                        : fmt::format("{} takes {}", instruction, text::join(names, " ")));
    }
    if (spec->kind != FlagKind::kList && values_.contains(name)) {
      throw place.error(fmt::format("duplicate flag specified: --{}", name), "keep one of them");
    }
    if (spec->kind == FlagKind::kSwitch) {
      value = switch_value(place, name, value);
    } else if (!value) {
      throw place.error(fmt::format("missing a value on flag: --{}", name),
                        fmt::format("write --{}=…, with = and without blanks", name));
    }
    values_[name].push_back(*value);
    places_.emplace(name, place);
  }
}

std::string FlagValues::text(std::string_view name) const {
  const auto found = values_.find(std::string(name));
  return found == values_.end() ? "" : found->second.front();
}

std::vector<std::string> FlagValues::list(std::string_view name) const {
  const auto found = values_.find(std::string(name));
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

std::optional<bool> FlagValues::if_given(std::string_view name) const {
  return given(name) ? std::optional(is_on(name)) : std::nullopt;
}

Place FlagValues::place(std::string_view name) const {
  const auto found = places_.find(std::string(name));
  return found == places_.end() ? statement_.keyword_place() : found->second;
}

std::optional<std::vector<std::string>> json_arguments(const Statement& statement, std::string_view text) {
  try {
    return json_words(text);
  } catch (const std::invalid_argument&) {
    throw statement.arguments_place().error("with JSON array syntax, arrays hold strings only: this one holds something else",
                                            "put every word into double quotes: [\"sleep\", \"10\"]");
  }
}

CommandLine parse_command_line(const Statement& statement) {
  CommandLine command;
  if (auto words = json_arguments(statement, statement.arguments)) {
    command.form = CommandLine::Form::kExec;
    command.words = std::move(*words);
    return command;
  }
  if (!statement.arguments.empty()) {
    command.words.push_back(statement.arguments);
  }
  for (const Heredoc& heredoc : statement.heredocs) {
    command.files.push_back({heredoc.name, heredoc.content, heredoc.expand, heredoc.chomp});
  }
  return command;
}

Invocation invocation(const CommandLine& command, const std::vector<std::string>& shell) {
  Invocation result;
  if (command.form == CommandLine::Form::kExec) {
    result.words = command.words;
    return result;
  }
  std::string script = command.words.empty() ? "" : command.words.front();
  if (!command.files.empty() && as_heredoc(script)) {
    // The whole command is one here-document: it is the script, for the shell or for what its first line names.
    const InlineFile& file = command.files.front();
    script = file.chomp ? without_leading_tabs(file.content) : file.content;
    if (script.starts_with("#!")) {
      result.script = InlineFile{.name = file.name, .content = std::move(script)};
      script = fmt::format("{}/{}", kScriptDirectory, file.name);
    }
  } else {
    for (const InlineFile& file : command.files) {
      script += "\n" + file.content + file.name;
    }
  }
  result.words = shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : shell;
  result.words.push_back(std::move(script));
  return result;
}

}  // namespace jigsaw::build
