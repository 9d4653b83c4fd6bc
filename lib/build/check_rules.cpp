// The rules themselves, in three groups: text, FROM lines, stages.
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
    list.add("StageNameCasing", instruction, fmt::format("stage name '{}' should be in lower case", from.name_as_written));
  }
  const Casing keyword = casing_of(instruction.keyword);
  if (keyword != Casing::kMixed && casing_of(from.as_keyword) != keyword) {
    list.add("FromAsCasing", instruction,
             fmt::format("'{}' and '{}' should be written in the same case", instruction.keyword, from.as_keyword));
  }
  if (from.name == "scratch" || from.name == "context") {
    list.add("ReservedStageName", instruction, fmt::format("'{}' is a reserved word, not a name for a stage", from.name));
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
             fmt::format("the comment should be '# {} <description>', or stand apart",
                         names.size() == 1 ? names.front() : "<name>"));
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
               fmt::format("'{}' should be in {} case like most instructions of this file", instruction.keyword,
                           most == Casing::kLower ? "lower" : "upper"));
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
             fmt::format("a secret in {} '{}' stays in the image for all to read; use RUN --mount=type=secret",
                         instruction_name, key));
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
               fmt::format("only the last {} of a stage counts: this one is ignored", instruction.name()),
               instruction.comments);
    }
    before = &instruction;
  }

  void command(const CommandLine& command, const Instruction& instruction) const {
    if (command.form == CommandLine::Form::kShell && !shell_set) {
      list.add("JSONArgsRecommended", instruction,
               fmt::format("as a JSON array, {} gets signals itself instead of a shell that keeps them",
                           instruction.name()));
    }
  }

  void pairs(const std::vector<KeyValue>& values, const Instruction& instruction) const {
    for (const KeyValue& pair : values) {
      if (pair.legacy_form) {
        list.add("LegacyKeyValueFormat", instruction,
                 fmt::format("write {} {}=value: the form without = is an old one", instruction.name(), pair.key));
      }
    }
  }

  void expose(const Expose& written, const Instruction& instruction) const {
    for (const std::string& text : written.ports) {
      if (text.find('$') != std::string::npos) {
        continue;
      }
      const Ports ports = parse_ports(text);
      if (ports.upper_protocol) {
        list.add("ExposeProtoCasing", instruction, fmt::format("the protocol in '{}' should be in lower case", text));
      }
      if (ports.mapping) {
        list.add("ExposeInvalidFormat", instruction,
                 fmt::format("'{}' names an address or a port of the host: EXPOSE is about the container's", text));
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
                 fmt::format("'{}' depends on the working directory of the base image: start with an absolute one",
                             workdir->path));
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
         (at->base.kind == Origin::Kind::kImage && input.base_image && input.base_image(*at).has_value());
}

std::string did_you_mean_variable(std::string_view name, const Variables& variables) {
  const std::vector<std::string> names = variables.names();
  return text::did_you_mean(name, names);
}

}  // namespace

void check_text(const Recipe& recipe, CheckList& list) {
  for (const Place& place : recipe.file.empty_continuations) {
    list.add("NoEmptyContinuation", place, "an empty line within an instruction will be an error one day");
  }
  for (const Instruction& instruction : recipe.global_arguments) {
    check_descriptions(instruction, list);
  }
  std::set<std::string> names;
  for (const RecipeStage& stage : recipe.stages) {
    check_stage_line(stage.from, list);
    const std::string& name = std::get<From>(stage.from.body).name;
    if (!name.empty() && !names.insert(name).second) {
      list.add("DuplicateStageName", stage.from, fmt::format("there is a stage '{}' above already", name));
    }
  }
  for_each_instruction(recipe, [&](const Instruction& instruction) {
    check_descriptions(instruction, list);
    if (std::holds_alternative<Maintainer>(instruction.body)) {
      list.add("MaintainerDeprecated", instruction,
               "MAINTAINER is an old form: write LABEL org.opencontainers.image.authors=\"…\"");
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
                   fmt::format("'{}' is declared by no ARG before the first FROM{}", name,
                               did_you_mean_variable(name, known)));
        }
      }
    }
    if (!from.platform.empty()) {
      const Expansion platform = expand(from.platform, plan.globals, {.escape = plan.escape});
      if (platform.unset.empty() && platform.used == std::vector<std::string>{"TARGETPLATFORM"} &&
          platform.text == plan.globals.get("TARGETPLATFORM")) {
        list.add("RedundantTargetPlatform", stage.from,
                 fmt::format("--platform={} is what FROM does anyway", from.platform));
      }
      if (platform.unset.empty() && platform.used.empty()) {
        const Platform constant = parse_platform(platform.text);
        if (from.name.find(constant.os) == std::string::npos &&
            from.name.find(constant.architecture) == std::string::npos) {
          list.add("FromPlatformFlagConstDisallowed", stage.from,
                   fmt::format("a fixed --platform={} makes the image useless on other platforms", platform.text));
        }
      }
    }
  }
  check_default_arguments(recipe, defaults, list);
}

void check_default_arguments(const Recipe& recipe, const PlanOptions& defaults, CheckList& list) {
  Variables values = global_variables(recipe, defaults);
  for (const RecipeStage& stage : recipe.stages) {
    const From& from = std::get<From>(stage.from.body);
    try {
      image::parse_reference(expand(from.image, values, {.escape = recipe.file.escape}).text);
    } catch (const Error&) {
      list.add("InvalidDefaultArgInFrom", stage.from,
               fmt::format("without --build-arg, '{}' names no image: give the ARG a default value", from.image));
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
      list.add("CopyIgnoredFile", instruction, fmt::format("'{}' is left out by the ignore file", source));
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
                 fmt::format("'${}' has no value here{}", name,
                             did_you_mean_variable(name, evaluated.scope.environment)));
      }
    }
  }
  if (stage.base.kind == Origin::Kind::kImage && input.base_image) {
    const std::optional<BaseImage> image = input.base_image(stage);
    const Platform wanted = stage.platform.value_or(input.plan.target_platform);
    if (image && (image->platform.os != wanted.os || image->platform.architecture != wanted.architecture)) {
      list.add("InvalidBaseImagePlatform", stage.place,
               fmt::format("{} is an image for {}, wanted is {}", stage.from.image, image->platform.text(),
                           wanted.text()));
    }
  }
}

}  // namespace jigsaw::build
