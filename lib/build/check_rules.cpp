// The rules themselves, in three groups: text, FROM lines, stages. A rule's message is a part of its name, so to speak:
// scripts look for it, so it is BuildKit's to the letter.
#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "build/check_list.h"
#include "build/instruction_parts.h"
#include "image/reference.h"

namespace jigsaw::build {
namespace {

enum class Casing { kLower, kUpper, kMixed };

Casing casing_of(std::string_view word) {
  return word == text::lower(word) ? Casing::kLower : word == text::upper(word) ? Casing::kUpper : Casing::kMixed;
}

void check_stage_line(const Instruction& instruction, CheckList& list) {
  const From& from = std::get<From>(instruction.body);
  if (from.name.empty()) {
    return;
  }
  if (from.name != from.name_as_written) {
    list.add("StageNameCasing", instruction, fmt::format("Stage name '{}' should be lowercase", from.name_as_written));
  }
  const Casing keyword = casing_of(instruction.keyword);
  if (keyword != Casing::kMixed && casing_of(from.as_keyword) != keyword) {
    list.add("FromAsCasing", instruction,
             fmt::format("'{}' and '{}' keywords' casing do not match", from.as_keyword, instruction.keyword));
  }
  if (from.name == "scratch" || from.name == "context") {
    list.add("ReservedStageName", instruction, fmt::format("Stage name should not use the same name as reserved stage {}", text::quoted(from.name)));
  }
}

// A comment right above names what it describes, or is none of its descriptions.
void check_description(const Instruction& instruction, const std::vector<std::string>& names, CheckList& list) {
  if (instruction.comments.empty() || names.empty() || names.front().empty()) {
    return;
  }
  const std::string& comment = instruction.comments.back();
  const std::string first = comment.substr(0, comment.find(' '));
  if (std::find(names.begin(), names.end(), first) == names.end()) {
    list.add("InvalidDefinitionDescription", instruction,
             fmt::format("Comment for {} should follow the format: `# {} <description>`", instruction.name(),
                         names.size() == 1 ? names.front() : "<arg_key>"));
  }
}

void check_descriptions(const Instruction& instruction, CheckList& list) {
  std::vector<std::string> names;
  if (const From* from = std::get_if<From>(&instruction.body)) {
    names.push_back(from->name);
  } else if (const Arg* arg = std::get_if<Arg>(&instruction.body)) {
    for (const Arg::Item& item : arg->items) {
      names.push_back(item.key);
    }
  }
  check_description(instruction, names, list);
}

// Calls `visit` for every instruction of the stages, FROM included.
template <class Visit>
void for_each_instruction(const Recipe& recipe, Visit visit) {
  for (const RecipeStage& stage : recipe.stages) {
    visit(stage.from);
    for (const Instruction& instruction : stage.instructions) {
      visit(instruction);
    }
  }
}

void check_casing(const Recipe& recipe, CheckList& list) {
  size_t lower = 0;
  size_t upper = 0;
  for_each_instruction(recipe, [&](const Instruction& instruction) {
    const Casing casing = casing_of(instruction.keyword);
    lower += casing == Casing::kLower ? 1 : 0;
    upper += casing == Casing::kUpper ? 1 : 0;
  });
  const Casing most = lower > upper ? Casing::kLower : Casing::kUpper;
  for_each_instruction(recipe, [&](const Instruction& instruction) {
    if (casing_of(instruction.keyword) != most) {
      list.add("ConsistentInstructionCasing", instruction,
               fmt::format("Command '{}' should match the case of the command majority ({})", instruction.keyword,
                           most == Casing::kLower ? "lowercase" : "uppercase"));
    }
  });
}

bool has_word(std::string_view name, std::initializer_list<std::string_view> words) {
  const std::string lower = text::lower(name);
  for (const std::string_view part : text::split(lower, '_')) {
    if (std::find(words.begin(), words.end(), part) != words.end()) {
      return true;
    }
  }
  return false;
}

bool looks_secret(std::string_view name) {
  return has_word(name, {"apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret",
                         "token"}) &&
         !has_word(name, {"public", "file", "version"});
}

void check_secret(std::string_view instruction_name, const std::string& key, const Instruction& instruction,
                  CheckList& list) {
  if (looks_secret(key)) {
    list.add("SecretsUsedInArgOrEnv", instruction,
             fmt::format("Do not use ARG or ENV instructions for sensitive data ({} {})", instruction_name,
                         text::quoted(key)));
  }
}

struct StageChecker {
  const CheckInput& input;
  CheckList& list;
  bool workdir_set = false;
  bool shell_set = false;
  const Instruction* cmd = nullptr;
  const Instruction* entrypoint = nullptr;
  const Instruction* healthcheck = nullptr;

  void once(const Instruction*& before, const Instruction& instruction) const {
    if (before != nullptr) {
      list.add("MultipleInstructionsDisallowed", before->place,
               fmt::format("Multiple {} instructions should not be used in the same stage because only the last one will be used",
                           instruction.keyword),
               instruction.comments);
    }
    before = &instruction;
  }

  void command(const CommandLine& command, const Instruction& instruction) const {
    if (command.form == CommandLine::Form::kShell && !shell_set) {
      list.add("JSONArgsRecommended", instruction,
               fmt::format("JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
                           instruction.keyword));
    }
  }

  void pairs(const std::vector<KeyValue>& values, const Instruction& instruction) const {
    for (const KeyValue& pair : values) {
      if (pair.legacy_form) {
        list.add("LegacyKeyValueFormat", instruction,
                 fmt::format("\"{0} key=value\" should be used instead of legacy \"{0} key value\" format", instruction.keyword));
      }
    }
  }

  void expose(const Expose& written, const Instruction& instruction) const {
    for (const std::string& word : written.ports) {
      if (word.find('$') != std::string::npos) {
        continue;
      }
      const std::string text = expand(word, Variables{}, {}).text;  // without its quotes
      const Ports ports = parse_ports(text);
      if (ports.upper_protocol) {
        list.add("ExposeProtoCasing", instruction, fmt::format("Defined protocol '{}' in EXPOSE instruction should be lowercase", text));
      }
      if (ports.mapping) {
        list.add("ExposeInvalidFormat", instruction,
                 fmt::format("EXPOSE instruction should not define an IP address or host-port mapping, found '{}'", text));
      }
    }
  }

  void visit(const Instruction& written, const Step& step) {
    if (const Cmd* body = std::get_if<Cmd>(&written.body)) {
      once(cmd, written);
      command(body->command, written);
    } else if (const Entrypoint* entry = std::get_if<Entrypoint>(&written.body)) {
      once(entrypoint, written);
      command(entry->command, written);
    } else if (std::holds_alternative<Healthcheck>(written.body)) {
      once(healthcheck, written);
    } else if (std::holds_alternative<Shell>(written.body)) {
      shell_set = true;
    } else if (const Env* env = std::get_if<Env>(&step.instruction.body)) {
      pairs(env->values, written);
      for (const KeyValue& pair : env->values) {
        check_secret("ENV", pair.key, written, list);
      }
    } else if (const Label* label = std::get_if<Label>(&step.instruction.body)) {
      pairs(label->values, written);
    } else if (const Arg* arg = std::get_if<Arg>(&written.body)) {
      for (const Arg::Item& item : arg->items) {
        check_secret("ARG", item.key, written, list);
      }
    } else if (const Workdir* workdir = std::get_if<Workdir>(&step.instruction.body)) {
      if (!workdir_set && !workdir->path.starts_with('/')) {
        list.add("WorkdirRelativePath", written,
                 fmt::format("Relative workdir {} can have unexpected results if the base image changes",
                             text::quoted(workdir->path)));
      }
      workdir_set = true;
    } else if (const Expose* ports = std::get_if<Expose>(&written.body)) {
      expose(*ports, written);
    } else if (const Copy* copy = std::get_if<Copy>(&step.instruction.body)) {
      if (input.ignore != nullptr && copy->from.empty()) {
        check_copy_source(*copy, written, *input.ignore, list);
      }
    }
  }
};

// Whether the variables a stage starts with are all known.
bool environment_known(const Plan& plan, const Stage& stage, const CheckInput& input) {
  const Stage* at = &stage;
  while (at->base.kind == Origin::Kind::kStage) {
    at = &plan.stages[at->base.stage];
  }
  return at->base.kind == Origin::Kind::kScratch ||
         (input.base_image && input.base_image(*at).has_value());
}

std::string suggestion(std::string_view name, const Variables& variables, const char* sign) {
  constexpr size_t kCandidates = 200;  // a comparison with each takes its time
  if (variables.entries().size() > kCandidates) {
    return "";
  }
  const std::vector<std::string> names = variables.names();
  const std::optional<std::string> near = text::closest(name, names);
  return near ? fmt::format(" (did you mean {}{}?)", sign, *near) : "";
}

}  // namespace

void check_text(const Recipe& recipe, CheckList& list) {
  for (const Place& place : recipe.file.empty_continuations) {
    list.add("NoEmptyContinuation", place, "Empty continuation line");
  }
  for (const Instruction& instruction : recipe.global_arguments) {
    check_descriptions(instruction, list);
  }
  std::set<std::string> names;
  for (const RecipeStage& stage : recipe.stages) {
    check_stage_line(stage.from, list);
    const std::string& name = std::get<From>(stage.from.body).name;
    if (!name.empty() && !names.insert(name).second) {
      list.add("DuplicateStageName", stage.from, fmt::format("Duplicate stage name {}, stage names should be unique", text::quoted(name)));
    }
  }
  for_each_instruction(recipe, [&](const Instruction& instruction) {
    check_descriptions(instruction, list);
    if (std::holds_alternative<Maintainer>(instruction.body)) {
      list.add("MaintainerDeprecated", instruction,
               "Maintainer instruction is deprecated in favor of using label");
    }
  });
  check_casing(recipe, list);
}

void check_from_lines(const Recipe& recipe, const Plan& plan, const CheckInput& input, CheckList& list) {
  Variables known = plan.globals;
  for (const Instruction& instruction : recipe.global_arguments) {
    for (const Arg::Item& item : std::get<Arg>(instruction.body).items) {
      known.set(item.key, "");
    }
  }
  PlanOptions defaults = input.plan;
  defaults.arguments.clear();
  for (const RecipeStage& stage : recipe.stages) {
    const From& from = std::get<From>(stage.from.body);
    for (const std::string* text : {&from.image, &from.platform}) {
      for (const std::string& name : expand(*text, plan.globals, {.escape = plan.escape}).unset) {
        if (!known.contains(name)) {
          list.add("UndefinedArgInFrom", stage.from,
                   fmt::format("FROM argument '{}' is not declared{}", name, suggestion(name, known, "")));
        }
      }
    }
    if (!from.platform.empty()) {
      const Expansion platform = expand(from.platform, plan.globals, {.escape = plan.escape});
      if (platform.unset.empty() && platform.used == std::vector<std::string>{"TARGETPLATFORM"} &&
          platform.text == plan.globals.get("TARGETPLATFORM")) {
        list.add("RedundantTargetPlatform", stage.from,
                 fmt::format("Setting platform to predefined {} in FROM is redundant as this is the default behavior",
                             from.platform));
      }
      if (platform.unset.empty() && platform.used.empty()) {
        const Platform constant = parse_platform(platform.text);
        if (from.name.find(constant.os) == std::string::npos &&
            from.name.find(constant.architecture) == std::string::npos) {
          list.add("FromPlatformFlagConstDisallowed", stage.from,
                   fmt::format("FROM --platform flag should not use constant value {}", text::quoted(platform.text)));
        }
      }
    }
  }
  check_default_arguments(recipe, defaults, list);
}

void check_default_arguments(const Recipe& recipe, const PlanOptions& defaults, CheckList& list) {
  Variables values;
  try {
    values = global_variables(recipe, defaults);
  } catch (const Error&) {
    return;  // ARG v=${v:?needed}: there is no default to look at
  }
  for (const RecipeStage& stage : recipe.stages) {
    const From& from = std::get<From>(stage.from.body);
    try {
      image::parse_reference(expand(from.image, values, {.escape = recipe.file.escape}).text);
    } catch (const Error&) {
      list.add("InvalidDefaultArgInFrom", stage.from,
               fmt::format("Default value for ARG {} results in empty or invalid base image name", from.image));
    }
  }
}

void check_copy_source(const Copy& copy, const Instruction& instruction, const IgnoreMatcher& ignore, CheckList& list) {
  if (ignore.has_exceptions()) {
    return;
  }
  const bool all = std::any_of(ignore.patterns().begin(), ignore.patterns().end(), [](const auto& pattern) {
    return pattern.text == "*" || pattern.text == "**" || pattern.text == "**/*";
  });
  for (const std::string& source : copy.sources) {
    if (source_kind(source) != SourceKind::kLocal) {
      continue;
    }
    std::string_view path = source;
    while (path.starts_with("./") || path.starts_with('/')) {
      path.remove_prefix(path.starts_with('/') ? 1 : 2);
    }
    const bool whole_context = path.empty() || path == ".";
    if (whole_context ? all : ignore.excludes(path)) {
      list.add("CopyIgnoredFile", instruction, fmt::format("Attempting to {} file {} that is excluded by .dockerignore", copy.add ? "Add" : "Copy",
                           text::quoted(path.empty() ? source : std::string(path))));
    }
  }
}

void check_stage(const Plan& plan, const Stage& stage, const EvaluatedStage& evaluated, const CheckInput& input,
                 CheckList& list) {
  StageChecker checker{.input = input, .list = list};
  for (const Stage* below = &stage; below->base.kind == Origin::Kind::kStage && !checker.workdir_set;) {
    below = &plan.stages[below->base.stage];
    for (const PlannedInstruction& planned : below->instructions) {
      checker.workdir_set = checker.workdir_set || std::holds_alternative<Workdir>(planned.instruction.body);
      checker.shell_set = checker.shell_set || std::holds_alternative<Shell>(planned.instruction.body);
    }
  }
  const bool known = environment_known(plan, stage, input);
  for (size_t index = 0; index < evaluated.steps.size(); ++index) {
    const Instruction& written = stage.instructions[index].instruction;
    checker.visit(written, evaluated.steps[index]);
    for (const std::string& name : evaluated.steps[index].unset) {
      if (known) {
        list.add("UndefinedVar", written,
                 fmt::format("Usage of undefined variable '${}'{}", name,
                             suggestion(name, evaluated.scope.environment, "$")));
      }
    }
  }
  if (stage.base.kind != Origin::Kind::kStage && input.base_image) {
    const std::optional<BaseImage> image = input.base_image(stage);
    const Platform wanted = stage.platform.value_or(input.plan.target_platform);
    if (image && (image->platform.os != wanted.os || image->platform.architecture != wanted.architecture)) {
      list.add("InvalidBaseImagePlatform", stage.place,
               fmt::format("Base image {} was pulled with platform {}, expected {} for current build", stage.from.image,
                           text::quoted(image->platform.text()), text::quoted(wanted.text())));
    }
  }
}

}  // namespace jigsaw::build
