#include "build/checks.h"

#include <algorithm>
#include <cctype>
#include <tuple>

#include "base/text.h"
#include "build/check_list.h"
#include "build/words.h"

namespace jigsaw::build {
namespace {

void add_names(std::string_view value, bool& all, std::set<std::string>& names) {
  value = text::trim(value);
  if (value == "all") {
    all = true;
    return;
  }
  for (const std::string_view name : text::split(value, ',')) {
    names.emplace(text::trim(name));
  }
}

// "check=skip=…" in a comment above an instruction.
std::optional<CheckOptions> options_of(const std::vector<std::string>& comments) {
  for (const std::string& comment : comments) {
    const size_t equals = comment.find('=');
    if (equals == std::string::npos || text::lower(text::trim(comment.substr(0, equals))) != "check") {
      continue;
    }
    const std::string_view value = text::trim(std::string_view(comment).substr(equals + 1));
    try {
      return parse_check_options(value.substr(0, value.find(' ')));
    } catch (const Error&) {
      return std::nullopt;  // a comment like any other
    }
  }
  return std::nullopt;
}

bool is_experimental(std::string_view rule) { return rule == "InvalidDefinitionDescription"; }

// The start of every stage: from its image, or where the stage below ended.
EvaluatedStage evaluate_in_turn(const Plan& plan, const Stage& stage, const CheckInput& input,
                                const std::vector<EvaluatedStage>& done) {
  if (stage.base.kind == Origin::Kind::kStage) {
    return evaluate_stage(plan, stage.index, done[stage.base.stage].scope);
  }
  const std::optional<BaseImage> image = input.base_image ? input.base_image(stage) : std::nullopt;
  return evaluate_stage(plan, stage.index, scope_of_image(image ? image->environment : std::vector<std::string>{}));
}

}  // namespace

CheckOptions parse_check_options(std::string_view text) {
  CheckOptions options;
  text = text::trim(text);
  if (text.empty()) {
    return options;
  }
  for (const std::string_view part : text::split(text, ';')) {
    const size_t equals = part.find('=');
    const std::string_view key = text::trim(part.substr(0, equals));
    const std::string_view value = equals == std::string_view::npos ? "" : text::trim(part.substr(equals + 1));
    if (key == "skip" && equals != std::string_view::npos) {
      add_names(value, options.skip_all, options.skip);
    } else if (key == "experimental" && equals != std::string_view::npos) {
      add_names(value, options.experimental_all, options.experimental);
    } else if (key == "error" && (text::lower(value) == "true" || value == "1")) {
      options.error = true;
    } else if (key != "error" || (text::lower(value) != "false" && value != "0")) {
      throw Error(fmt::format("unknown check option {}", text::quoted(part)),
                  "known are skip=RULE,RULE or skip=all, experimental=RULE or all, error=true");
    }
  }
  return options;
}

void CheckList::add(std::string_view rule, const Place& place, std::string message,
                    const std::vector<std::string>& comments) {
  CheckOptions options = options_;
  if (const std::optional<CheckOptions> own = options_of(comments)) {
    options.skip_all = options.skip_all || own->skip_all;
    options.skip.insert(own->skip.begin(), own->skip.end());
    options.experimental_all = options.experimental_all || own->experimental_all;
    options.experimental.insert(own->experimental.begin(), own->experimental.end());
  }
  const std::string name(rule);
  const bool wanted = is_experimental(rule) ? options.experimental_all || options.experimental.contains(name)
                                            : !options.skip_all && !options.skip.contains(name);
  if (wanted) {
    findings_.push_back({name, std::move(message), place});
  }
}

CheckResult CheckList::take() {
  std::stable_sort(findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.place.source->name, a.place.line) < std::tie(b.place.source->name, b.place.line);
  });
  return {std::move(findings_), std::move(options_)};
}

namespace {

// --build-arg BUILDKIT_DOCKERFILE_CHECK counts instead of the file's own directive.
CheckOptions options_of_build(const Recipe& recipe, const CheckInput& input) {
  if (const auto given = input.plan.arguments.find("BUILDKIT_DOCKERFILE_CHECK"); given != input.plan.arguments.end()) {
    return parse_check_options(given->second);
  }
  for (const Directive& directive : recipe.file.directives) {
    if (directive.name == "check") {
      try {
        return parse_check_options(directive.value);
      } catch (const Error& error) {
        throw directive.place.error(error.message(), error.hint());
      }
    }
  }
  return {};
}

}  // namespace

CheckResult check_recipe(const Recipe& recipe, const CheckInput& input) {
  CheckList list(options_of_build(recipe, input));
  check_text(recipe, list);
  PlanOptions plan_options = input.plan;
  plan_options.check_all_stages = plan_options.target.empty() && input.stages == CheckInput::Stages::kAll;
  Plan plan = plan_stages(recipe, plan_options);
  for (const size_t index : std::vector<size_t>(plan.order)) {
    if (const std::optional<BaseImage> image = input.base_image ? input.base_image(plan.stages[index]) : std::nullopt) {
      add_triggers(plan, index, image->on_build);
    }
  }
  check_from_lines(recipe, plan, input, list);
  std::vector<EvaluatedStage> evaluated(plan.stages.size());
  for (const size_t index : plan.order) {
    evaluated[index] = evaluate_in_turn(plan, plan.stages[index], input, evaluated);
    check_stage(plan, plan.stages[index], evaluated[index], input, list);
  }
  return list.take();
}

Error CheckResult::error() const {
  std::vector<std::string> rules;
  for (const Finding& finding : findings) {
    if (std::find(rules.begin(), rules.end(), finding.rule) == rules.end()) {
      rules.push_back(finding.rule);
    }
  }
  return Error(fmt::format("lint violation found for rules: {}", text::join(rules, ", ")),
               "the Dockerfile says check=error=true; mend the lines above, or add skip=RULE to it");
}

std::string rule_address(std::string_view rule) {
  std::string name;
  for (size_t at = 0; at < rule.size(); ++at) {
    const auto is_upper = [&](size_t i) { return std::isupper(static_cast<unsigned char>(rule[i])) != 0; };
    const bool starts_word = at > 0 && is_upper(at) && (!is_upper(at - 1) || (at + 1 < rule.size() && !is_upper(at + 1)));
    name += starts_word ? "-" : "";
    name += static_cast<char>(std::tolower(static_cast<unsigned char>(rule[at])));
  }
  return fmt::format("https://docs.docker.com/go/dockerfile/rule/{}/", name);
}

std::string format_findings(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    const Error shown = finding.place.error(fmt::format("{}: {}", finding.rule, finding.message));
    text += fmt::format("warning: {}\n  see {}\n\n", shown.message(), rule_address(finding.rule));
  }
  return text + (findings.empty()       ? "no findings\n"
                 : findings.size() == 1 ? "1 finding\n"
                                        : fmt::format("{} findings\n", findings.size()));
}

std::vector<std::string> summary_of(const std::vector<Finding>& findings) {
  std::vector<std::string> lines;
  if (!findings.empty()) {
    lines.push_back(fmt::format("{} found (jigsaw build --check shows the lines):",
                                findings.size() == 1 ? "1 warning" : fmt::format("{} warnings", findings.size())));
  }
  for (const Finding& finding : findings) {
    lines.push_back(fmt::format(" - {}: {} (line {})", finding.rule, finding.message, finding.place.line));
  }
  return lines;
}

}  // namespace jigsaw::build
