#include "build/stages.h"

#include <algorithm>
#include <functional>

#include "base/text.h"
#include "build/instruction_parts.h"
#include "image/reference.h"

namespace jigsaw::build {
namespace {

// What FROM can see without any ARG: the platforms, and the stage that is asked for.
Variables platform_arguments(const Recipe& recipe, const PlanOptions& options) {
  const std::string last = std::get<From>(recipe.stages.back().from.body).name;
  const std::string target = options.target.empty() ? last : options.target;
  const Platform& build = options.build_platform;
  const Platform& wanted = options.target_platform;
  Variables variables = {{"BUILDPLATFORM", build.text()},
                         {"BUILDOS", build.os},
                         {"BUILDOSVERSION", ""},
                         {"BUILDARCH", build.architecture},
                         {"BUILDVARIANT", build.variant},
                         {"TARGETPLATFORM", wanted.text()},
                         {"TARGETOS", wanted.os},
                         {"TARGETOSVERSION", ""},
                         {"TARGETARCH", wanted.architecture},
                         {"TARGETVARIANT", wanted.variant},
                         {"TARGETSTAGE", target.empty() ? "default" : target}};
  for (const auto& [name, value] : options.arguments) {
    if (variables.contains(name)) {
      variables.set(name, value);
    }
  }
  return variables;
}

std::string expand_at(const Instruction& instruction, const std::string& text, const Variables& variables,
                      char escape) {
  try {
    return expand(text, variables, {.escape = escape}).text;
  } catch (const Error& error) {
    throw instruction.place.error(error.message(), error.hint());
  }
}

std::optional<std::string> named_context(const Plan& plan, const std::string& name) {
  if (name == "scratch" || name == "context") {
    return std::nullopt;
  }
  if (plan.named_contexts.contains(name)) {
    return name;
  }
  try {
    const std::string familiar = image::familiar(image::with_default_tag(image::parse_reference(name)));
    for (const std::string& context : plan.named_contexts) {
      if (familiar == context || familiar == context + ":latest" || "docker-image://" + familiar == context) {
        return context;
      }
    }
  } catch (const Error&) {
    return std::nullopt;  // no reference, so no context can stand for it
  }
  return std::nullopt;
}

// A name that is no stage: a named context or an image.
Origin outside(const Plan& plan, const std::string& name) {
  if (name == "scratch") {
    return {.kind = Origin::Kind::kScratch};
  }
  if (const auto context = named_context(plan, name)) {
    return {.kind = Origin::Kind::kNamedContext, .name = *context};
  }
  return {.kind = Origin::Kind::kImage, .name = name};
}

std::optional<size_t> find_stage(const Plan& plan, std::string_view name) {
  const auto found = plan.by_name.find(text::lower(name));
  return found == plan.by_name.end() ? std::nullopt : std::optional(found->second);
}

void check_reference(const Plan& plan, const Stage& stage) {
  try {
    if (!image::as_identifier(stage.base.name)) {
      image::parse_reference(stage.base.name);
    }
  } catch (const Error& error) {
    const std::string near = stage_hint(plan, stage.base.name);
    throw stage.place.error("invalid reference format: " + error.message(), near.empty() ? error.hint() : near);
  }
}

// Variables of FROM that have no value.
Error blank(const Plan& plan, const Instruction& instruction, std::string_view what, const std::string& written) {
  const std::vector<std::string> names = plan.globals.names();
  std::string near;
  for (const std::string& name : expand(written, plan.globals, {.escape = plan.escape}).unset) {
    near = near.empty() ? text::did_you_mean(name, names) : near;
  }
  return instruction.place.error(fmt::format("the {} ({}) should not be blank: it has no value{}", what, written, near),
                                 "declare it before the first FROM: ARG NAME=value, or give --build-arg NAME=value");
}

// FROM: filled in, and found among the stages above it.
Stage start_stage(const Plan& plan, const RecipeStage& written) {
  const Instruction& instruction = written.from;
  Stage stage{.index = plan.stages.size(), .from = std::get<From>(instruction.body), .place = instruction.place};
  From& from = stage.from;
  stage.name = from.name;
  stage.label = stage.name.empty() ? fmt::format("stage-{}", stage.index) : stage.name;
  const std::string as_written = from.image;
  from.image = expand_at(instruction, as_written, plan.globals, plan.escape);
  if (from.image.empty()) {
    throw blank(plan, instruction, "base name", as_written);
  }
  if (!from.platform.empty()) {
    const std::string platform = expand_at(instruction, from.platform, plan.globals, plan.escape);
    if (platform.empty()) {
      throw blank(plan, instruction, "platform", from.platform);
    }
    try {
      stage.platform = parse_platform(platform);
    } catch (const Error& error) {
      throw instruction.place.error(fmt::format("failed to parse platform {}: {}", from.platform, error.message()), error.hint());
    }
    from.platform = platform;
  }
  if (!stage.name.empty() && plan.named_contexts.contains(stage.name)) {
    stage.base = {.kind = Origin::Kind::kNamedContext, .name = stage.name};
    return stage;
  }
  // Stage names are lower case, and FROM is particular about it, as the reference implementation is.
  const auto above = plan.by_name.find(from.image);
  stage.base = above != plan.by_name.end() ? Origin{.kind = Origin::Kind::kStage, .stage = above->second}
                                           : outside(plan, from.image);
  if (stage.base.kind == Origin::Kind::kImage) {
    check_reference(plan, stage);
  }
  if (stage.platform && stage.base.kind != Origin::Kind::kStage && stage.base.kind != Origin::Kind::kScratch) {
    stage.base.platform = stage.platform->text();
  }
  for (const Instruction& each : written.instructions) {
    stage.instructions.push_back({.instruction = each});
  }
  return stage;
}

// What COPY --from names: a stage, its number, or something outside.
Origin copy_origin(const Plan& plan, const Copy& copy, const Instruction& instruction) {
  if (copy.from.empty()) {
    return {.kind = copy.sources.empty() ? Origin::Kind::kNone : Origin::Kind::kContext};
  }
  const Expansion expansion = expand(copy.from, {}, {.escape = plan.escape});
  if (expansion.text != copy.from) {
    throw instruction.place.error("variable expansion is not supported for --from",
                                  "give the stage a fixed name: FROM $image AS name, then COPY --from=name");
  }
  if (const std::optional<uint64_t> number = text::to_u64(copy.from)) {
    if (*number >= plan.stages.size()) {
      throw instruction.place.error(
          fmt::format("invalid stage index {}: the last stage is number {}", *number, plan.stages.size() - 1),
          "they are counted from 0; name the stage with FROM … AS name, then COPY --from=name");
    }
    return {.kind = Origin::Kind::kStage, .stage = *number};
  }
  if (const std::optional<size_t> stage = find_stage(plan, copy.from)) {
    return {.kind = Origin::Kind::kStage, .stage = *stage};
  }
  const Origin origin = outside(plan, copy.from);
  if (origin.kind == Origin::Kind::kImage) {
    try {
      image::parse_reference(origin.name);
    } catch (const Error& error) {
      const std::string near = stage_hint(plan, origin.name);
      throw instruction.place.error(fmt::format("--from: no such stage, and {}", error.message()),
                                    near.empty() ? error.hint() : near);
    }
  }
  return origin;
}

void find_origins(const Plan& plan, PlannedInstruction& planned) {
  planned.origins.clear();
  if (const Copy* copy = std::get_if<Copy>(&planned.instruction.body)) {
    planned.origins.push_back(copy_origin(plan, *copy, planned.instruction));
  } else if (const Run* run = std::get_if<Run>(&planned.instruction.body)) {
    for (const std::string& text : run->mount_texts) {
      const std::string from = mount_from(text);
      const std::optional<size_t> stage = from.empty() ? std::nullopt : find_stage(plan, from);
      planned.origins.push_back(from.empty() ? Origin{}
                                : stage      ? Origin{.kind = Origin::Kind::kStage, .stage = *stage}
                                             : outside(plan, from));
    }
  }
}

// Follows the dependencies of every stage; a stage met again on the way down is a circle.
void refuse_circles(const Plan& plan) {
  enum class Mark { kNew, kOpen, kDone };
  std::vector<Mark> marks(plan.stages.size(), Mark::kNew);
  const std::function<void(size_t)> visit = [&](size_t index) {
    marks[index] = Mark::kOpen;
    const auto follow = [&](const Origin& origin, const Place& place) {
      if (origin.kind != Origin::Kind::kStage || marks[origin.stage] == Mark::kDone) {
        return;
      }
      if (marks[origin.stage] == Mark::kOpen) {
        throw place.error(fmt::format("circular dependency detected on stage: {}, which needs itself", plan.stages[origin.stage].label),
                          "a stage can only take from stages that are defined before it");
      }
      visit(origin.stage);
    };
    follow(plan.stages[index].base, plan.stages[index].place);
    for (const PlannedInstruction& planned : plan.stages[index].instructions) {
      for (const Origin& origin : planned.origins) {
        follow(origin, planned.instruction.place);
      }
    }
    marks[index] = Mark::kDone;
  };
  for (size_t index = 0; index < plan.stages.size(); ++index) {
    if (marks[index] == Mark::kNew) {
      visit(index);
    }
  }
}

void refuse_later_stages(const Plan& plan, const Stage& stage) {
  for (const PlannedInstruction& planned : stage.instructions) {
    for (const Origin& origin : planned.origins) {
      if (origin.kind == Origin::Kind::kStage && origin.stage >= stage.index) {
        throw planned.instruction.place.error(
            fmt::format("cannot {} from stage {}: it comes later in the file", std::holds_alternative<Run>(planned.instruction.body) ? "mount" : "copy", text::quoted(plan.stages[origin.stage].label)),
            fmt::format("it needs to be defined before: move FROM … AS {} above this stage", plan.stages[origin.stage].label));
      }
    }
  }
}

void put_in_front(Plan& plan, Stage& stage, std::vector<PlannedInstruction> triggers) {
  for (PlannedInstruction& planned : triggers) {
    planned.trigger = true;
    find_origins(plan, planned);
  }
  stage.instructions.insert(stage.instructions.begin(), std::make_move_iterator(triggers.begin()),
                            std::make_move_iterator(triggers.end()));
}

// The triggers that a stage inherits from the stage it is FROM.
void add_own_triggers(Plan& plan, Stage& stage) {
  if (stage.base.kind != Origin::Kind::kStage || stage.triggers_added) {
    return;
  }
  stage.triggers_added = true;
  std::vector<PlannedInstruction> triggers;
  for (const PlannedInstruction& planned : plan.stages[stage.base.stage].instructions) {
    if (const Onbuild* onbuild = std::get_if<Onbuild>(&planned.instruction.body)) {
      triggers.push_back({.instruction = parse_trigger(onbuild->expression, plan.stages[stage.base.stage].label)});
    }
  }
  put_in_front(plan, stage, std::move(triggers));
}

// Which stages are needed, ascending: a stage only ever depends on those above it.
void compute_order(Plan& plan) {
  std::vector<bool> needed(plan.stages.size(), plan.check_all);
  std::vector<size_t> open;
  for (size_t index = 0; index < plan.stages.size(); ++index) {
    if (needed[index] || index == plan.target) {
      needed[index] = true;
      open.push_back(index);
    }
  }
  while (!open.empty()) {
    const size_t index = open.back();
    open.pop_back();
    add_own_triggers(plan, plan.stages[index]);
    for (const size_t dependency : plan.dependencies(index)) {
      if (!needed[dependency]) {
        needed[dependency] = true;
        open.push_back(dependency);
      }
    }
  }
  refuse_circles(plan);
  plan.order.clear();
  for (size_t index = 0; index < plan.stages.size(); ++index) {
    if (needed[index]) {
      refuse_later_stages(plan, plan.stages[index]);
      plan.order.push_back(index);
    }
  }
}

size_t find_target(const Plan& plan, const std::string& target) {
  if (target.empty()) {
    return plan.stages.size() - 1;
  }
  if (const std::optional<size_t> stage = find_stage(plan, target)) {
    return *stage;
  }
  if (const std::optional<uint64_t> number = text::to_u64(target); number && *number < plan.stages.size()) {
    return *number;
  }
  std::vector<std::string> names;
  for (const Stage& stage : plan.stages) {
    names.push_back(stage.label);
  }
  throw Error(fmt::format("target stage {} could not be found{}", text::quoted(target),
                          text::did_you_mean(text::lower(target), names)),
              fmt::format("the stages are {}", text::join(names, ", ")));
}

}  // namespace

std::vector<size_t> Plan::dependencies(size_t index) const {
  std::set<size_t> found;
  const Stage& stage = stages[index];
  if (stage.base.kind == Origin::Kind::kStage) {
    found.insert(stage.base.stage);
  }
  for (const PlannedInstruction& planned : stage.instructions) {
    for (const Origin& origin : planned.origins) {
      if (origin.kind == Origin::Kind::kStage) {
        found.insert(origin.stage);
      }
    }
  }
  return {found.begin(), found.end()};
}

bool Plan::needs(size_t index) const { return std::binary_search(order.begin(), order.end(), index); }

Variables global_variables(const Recipe& recipe, const PlanOptions& options) {
  Variables globals = platform_arguments(recipe, options);
  for (const Instruction& instruction : recipe.global_arguments) {
    for (const Arg::Item& item : std::get<Arg>(instruction.body).items) {
      if (const auto given = options.arguments.find(item.key); given != options.arguments.end()) {
        globals.set(item.key, given->second);
      } else if (item.value) {
        globals.set(item.key, expand_at(instruction, *item.value, globals, recipe.file.escape));
      }
    }
  }
  return globals;
}

Plan plan_stages(const Recipe& recipe, const PlanOptions& options) {
  Plan plan{.check_all = options.check_all_stages,
            .globals = global_variables(recipe, options),
            .arguments = options.arguments,
            .named_contexts = options.named_contexts,
            .escape = recipe.file.escape};
  for (const RecipeStage& written : recipe.stages) {
    if (plan.stages.size() == kStageLimit) {
      throw written.from.place.error(fmt::format("more than {} stages", kStageLimit));
    }
    plan.stages.push_back(start_stage(plan, written));
    if (const Stage& stage = plan.stages.back(); !stage.name.empty()) {
      plan.by_name[stage.name] = stage.index;
    }
  }
  plan.target = find_target(plan, options.target);
  for (Stage& stage : plan.stages) {
    for (PlannedInstruction& planned : stage.instructions) {
      find_origins(plan, planned);
    }
  }
  compute_order(plan);
  return plan;
}

std::string stage_hint(const Plan& plan, std::string_view name) {
  std::vector<std::string> names;
  for (const Stage& stage : plan.stages) {
    if (!stage.name.empty()) {
      names.push_back(stage.name);
    }
  }
  const std::optional<std::string> near = text::closest(text::lower(name), names);
  return near ? fmt::format("did you mean the stage {}?", *near) : "";
}

void add_triggers(Plan& plan, size_t stage, const std::vector<std::string>& expressions) {
  Stage& target = plan.stages[stage];
  if (target.triggers_added || expressions.empty()) {
    return;
  }
  target.triggers_added = true;
  std::vector<PlannedInstruction> triggers;
  for (const std::string& expression : expressions) {
    triggers.push_back({.instruction = parse_trigger(expression, target.from.image)});
  }
  put_in_front(plan, target, std::move(triggers));
  compute_order(plan);
}

}  // namespace jigsaw::build
