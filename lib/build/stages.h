// The stage graph: which stages a target needs, and in which order they can be built.
//
//     FROM debian AS tools        tools ──┐ FROM
//     FROM tools AS compile       compile ┘──┐ COPY --from
//     FROM scratch                 2 ────────┘
//     COPY --from=compile /a /a
//
// A plan is data: it is computed from the Dockerfile and the options alone, before any image is fetched. What depends
// on a base image's config (its ONBUILD triggers) is added later with add_triggers(). Stages that do not depend on each
// other can be built side by side; those nobody needs are not in the order.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "build/instructions.h"

namespace jigsaw::build {

struct Platform {
  std::string os = "linux";
  std::string architecture;  // "amd64", "arm64", "arm"
  std::string variant;       // "v7" or ""

  std::string text() const;  // "linux/arm/v7"
};
// "linux/amd64", "arm64", "linux/arm/v7"; names are brought to their usual form (x86_64 -> amd64). Throws.
Platform parse_platform(std::string_view text);
// The machine we run on.
Platform host_platform();

// Where a stage starts from, or what COPY --from and RUN --mount from= read.
struct Origin {
  enum class Kind { kNone, kScratch, kContext, kStage, kImage, kNamedContext };
  Kind kind = Kind::kNone;
  size_t stage = 0;  // kStage: index in Plan::stages
  std::string name;  // kImage: the reference as written; kNamedContext: its name
  std::string platform;  // kImage, kNamedContext: of FROM --platform; "" is the one that the build is for

  bool operator==(const Origin&) const = default;
};

struct PlannedInstruction {
  Instruction instruction;
  // COPY, ADD: one entry. RUN: one for each --mount, kNone without from= (whether that means the build context or
  // nothing depends on its type). Others: none.
  std::vector<Origin> origins;
  bool trigger = false;  // from ONBUILD of the base
};

struct Stage {
  size_t index = 0;
  std::string name;   // AS name in lower case, or ""
  std::string label;  // the name, or "stage-2"
  From from;          // with variables filled in
  Place place;
  Origin base;
  std::optional<Platform> platform;  // from --platform
  std::vector<PlannedInstruction> instructions;
  bool triggers_added = false;
};

struct PlanOptions {
  std::string target;                               // "" is the last stage; a name or a number
  std::map<std::string, std::string> arguments;     // --build-arg
  std::set<std::string> named_contexts;             // --build-context names
  Platform build_platform = host_platform();
  Platform target_platform = host_platform();
  bool check_all_stages = false;  // plan every stage, needed or not: for --check
};

inline constexpr size_t kStageLimit = 2000;

struct Plan {
  std::vector<Stage> stages;
  size_t target = 0;
  bool check_all = false;     // the options' check_all_stages
  std::vector<size_t> order;  // the stages that the target needs, each after those it depends on
  std::map<std::string, size_t> by_name;  // the last stage of each name
  Variables globals;          // ARGs before FROM, platform arguments, with --build-arg applied
  std::map<std::string, std::string> arguments;  // --build-arg
  std::set<std::string> named_contexts;
  char escape = '\\';

  // Indices of the stages that stage `index` reads, each once, ascending.
  std::vector<size_t> dependencies(size_t index) const;
  bool needs(size_t index) const;
};

// What FROM lines can see: platform arguments and the ARGs before the first FROM.
Variables global_variables(const Recipe& recipe, const PlanOptions& options);

// Throws for an unknown target or stage, a circle, a copy from a later stage, an empty base name, a bad platform.
Plan plan_stages(const Recipe& recipe, const PlanOptions& options);

// "did you mean the stage 'x'?" for a name that turned out to be no image either; "" if no stage is near.
std::string stage_hint(const Plan& plan, std::string_view name);

// Puts the triggers of a stage's base image (its config's OnBuild) in front of its instructions, once, and computes the
// order anew: a trigger may copy from stages nobody needed before.
void add_triggers(Plan& plan, size_t stage, const std::vector<std::string>& expressions);

}  // namespace jigsaw::build
