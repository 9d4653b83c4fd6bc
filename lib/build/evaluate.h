// A stage's instructions with all variables filled in, before anything is executed.
//
// What a variable is worth depends on the base image's environment and on the ENV and ARG lines above it, never on what
// a RUN does: so a whole stage can be computed, and its mistakes found, before the first layer is made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "build/stages.h"

namespace jigsaw::build {

// The variables at one point of a stage.
struct Scope {
  // What expansion sees and a RUN's environment holds: the image's, ENV and ARG, the latest setting wins.
  Variables environment;
  // ARGs declared so far, in order, those of the stages below included; without a value if none was given.
  std::vector<Arg::Item> arguments;
};
// The scope that a stage starts with on an image whose config has these "NAME=value"; PATH gets its default.
Scope scope_of_image(const std::vector<std::string>& environment);
inline constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct Step {
  Instruction instruction;      // expanded; of ARG, every item has the value that counts
  std::vector<Origin> origins;  // as in PlannedInstruction; bind mounts without from= read the context
  bool trigger = false;
  std::shared_ptr<const Scope> scope;  // RUN: the variables it sees; shared between RUNs with nothing set in between
  std::vector<std::string> unset;      // variables it names that have no value and are no declared ARG
};

struct EvaluatedStage {
  std::vector<Step> steps;
  Scope scope;  // at its end: what a stage FROM this one starts with
};
EvaluatedStage evaluate_stage(const Plan& plan, size_t stage, const Scope& start);

// http_proxy and its kin, given with --build-arg: every RUN gets them, they are not part of the cache key nor of the
// image, unless an ARG declares them.
std::vector<KeyValue> proxy_arguments(const Plan& plan);

// The "RUN" text of the history, as BuildKit writes it: "RUN |1 V=1 /bin/sh -c make # buildkit".
std::string run_history(const std::vector<std::string>& words, const Scope& scope);

}  // namespace jigsaw::build
