// Where the checks put what they find. Internal to lib/build.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "build/checks.h"

namespace jigsaw::build {

class CheckList {
 public:
  explicit CheckList(CheckOptions options) : options_(std::move(options)) {}

  // Adds a finding unless its rule is switched off, for the file or by a comment above the instruction.
  void add(std::string_view rule, const Place& place, std::string message,
           const std::vector<std::string>& comments = {});
  void add(std::string_view rule, const Instruction& instruction, std::string message) {
    add(rule, instruction.place, std::move(message), instruction.comments);
  }
  CheckResult take();

 private:
  CheckOptions options_;
  std::vector<Finding> findings_;
};

// What the text alone tells: names, casing, old forms.
void check_text(const Recipe& recipe, CheckList& list);
// What FROM lines tell once their variables are known.
void check_from_lines(const Recipe& recipe, const Plan& plan, const CheckInput& input, CheckList& list);
void check_default_arguments(const Recipe& recipe, const PlanOptions& defaults, CheckList& list);
// What the instructions of one stage tell, evaluated.
void check_stage(const Plan& plan, const Stage& stage, const EvaluatedStage& evaluated, const CheckInput& input,
                 CheckList& list);
void check_copy_source(const Copy& copy, const Instruction& instruction, const IgnoreMatcher& ignore, CheckList& list);

}  // namespace jigsaw::build
