// Build checks: what is allowed in a Dockerfile but rarely meant.
//
// The rules have the names that BuildKit gives them (docs.docker.com/reference/build-checks), so the comments that
// switch them off mean the same here:
//
//     # check=skip=StageNameCasing,JSONArgsRecommended;error=true     at the top: for the whole file
//     # check=skip=SecretsUsedInArgOrEnv                              above an instruction: for that one
//
// With error=true a finding makes the build fail.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "build/evaluate.h"
#include "build/ignore.h"

namespace jigsaw::build {

struct Finding {
  std::string rule;     // "StageNameCasing"
  std::string message;  // one line
  Place place;
};

struct CheckOptions {
  bool skip_all = false;
  std::set<std::string> skip;
  bool experimental_all = false;
  std::set<std::string> experimental;
  bool error = false;
};
// "skip=A,B;error=true;experimental=all". Throws on anything else.
CheckOptions parse_check_options(std::string_view text);

// What is known of the image a stage is FROM.
struct BaseImage {
  std::vector<std::string> environment;  // "NAME=value"
  std::vector<std::string> on_build;     // its triggers
  Platform platform;
};
struct CheckInput {
  enum class Stages { kAll, kNeeded };
  PlanOptions plan;  // the build's
  Stages stages = Stages::kAll;  // without a target; with one, those that it needs
  const IgnoreMatcher* ignore = nullptr;  // the context's, for CopyIgnoredFile
  // The base image of a stage, if it is at hand. What depends on it is left unchecked otherwise.
  std::function<std::optional<BaseImage>(const Stage&)> base_image;
};
struct CheckResult {
  std::vector<Finding> findings;  // in the order of the file
  CheckOptions options;

  bool fails() const { return options.error && !findings.empty(); }
  // "lint violation found for rules: StageNameCasing, UndefinedVar". Use if fails().
  Error error() const;
};
// Throws, as a build would, if the file can't be planned or evaluated.
CheckResult check_recipe(const Recipe& recipe, const CheckInput& input);

// The address that explains a rule.
std::string rule_address(std::string_view rule);
// The findings as text, each with its line and a caret; with a last line that counts them.
std::string format_findings(const std::vector<Finding>& findings);
// One line each, for the end of a build; nothing without findings.
std::vector<std::string> summary_of(const std::vector<Finding>& findings);

}  // namespace jigsaw::build
