#include "build/evaluate.h"

#include <algorithm>

#include "base/text.h"

namespace jigsaw::build {
namespace {

// The kernel takes about 2 MB of arguments and environment; what is larger can never be executed.
constexpr size_t kEnvironmentLimit = 4U << 20;   // bytes
constexpr size_t kSnapshotLimit = 512U << 20;    // bytes, over all RUNs of a stage

class StageEvaluator {
 public:
  StageEvaluator(const Plan& plan, const Scope& start) : plan_(plan), scope_(start) {
    for (const auto& [name, value] : scope_.environment.entries()) {
      size_ += name.size() + value.size() + 2;
    }
    for (const Arg::Item& item : scope_.arguments) {
      declared_.insert(item.key);
    }
  }

  EvaluatedStage run(const Stage& stage) {
    EvaluatedStage result;
    for (const PlannedInstruction& planned : stage.instructions) {
      Step step{.origins = planned.origins, .trigger = planned.trigger};
      Expanded expanded = expand_instruction(planned.instruction, scope_.environment, plan_.escape);
      step.instruction = std::move(expanded.instruction);
      step.unset = std::move(expanded.unset);
      if (std::holds_alternative<Run>(step.instruction.body)) {
        step.scope = snapshot(step.instruction.place);
        name_context(std::get<Run>(step.instruction.body), step.origins);
      }
      if (const Env* env = std::get_if<Env>(&step.instruction.body)) {
        for (const KeyValue& pair : env->values) {
          set(pair.key, pair.value, step.instruction.place);
        }
      } else if (Arg* arg = std::get_if<Arg>(&step.instruction.body)) {
        declare(*arg, step);
      }
      forget_declared(step.unset);
      result.steps.push_back(std::move(step));
    }
    result.scope = std::move(scope_);
    return result;
  }

 private:
  // A bind mount without from= is of the build context; its type may be a variable, so it is known only now.
  static void name_context(const Run& run, std::vector<Origin>& origins) {
    for (size_t index = 0; index < run.mounts.size(); ++index) {
      if (run.mounts[index].type == Mount::Type::kBind && origins[index].kind == Origin::Kind::kNone) {
        origins[index].kind = Origin::Kind::kContext;
      }
    }
  }

  void set(const std::string& name, const std::string& value, const Place& place) {
    const std::optional<std::string> before = scope_.environment.get(name);
    size_ += value.size() + (before ? 0 : name.size() + 2);
    size_ -= before ? before->size() : 0;
    if (size_ > kEnvironmentLimit) {
      throw place.error(fmt::format("the environment grows beyond {}", text::human_size(kEnvironmentLimit)),
                        "no program could be started with it; put data into files");
    }
    scope_.environment.set(name, value);
    snapshot_.reset();
  }

  // --build-arg counts first, then the default written here, then an ARG before the first FROM.
  void declare(Arg& arg, Step& step) {
    for (Arg::Item& item : arg.items) {
      const auto given = plan_.arguments.find(item.key);
      if (given != plan_.arguments.end()) {
        item.value = given->second;
      } else if (item.value) {
        fill(*item.value, step);
      } else {
        item.value = plan_.globals.get(item.key);
      }
      if (item.value) {
        set(item.key, *item.value, step.instruction.place);
      }
      scope_.arguments.push_back(item);
      declared_.insert(item.key);
      snapshot_.reset();
    }
  }

  void fill(std::string& value, Step& step) {
    try {
      Expansion expansion = expand(value, scope_.environment, {.escape = plan_.escape});
      value = std::move(expansion.text);
      step.unset.insert(step.unset.end(), expansion.unset.begin(), expansion.unset.end());
    } catch (const Error& error) {
      throw step.instruction.place.error(error.message(), error.hint());
    }
  }

  // An ARG without a value is known all the same.
  void forget_declared(std::vector<std::string>& names) const {
    std::erase_if(names, [&](const std::string& name) { return declared_.contains(name); });
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
  }

  std::shared_ptr<const Scope> snapshot(const Place& place) {
    if (!snapshot_) {
      copied_ += size_;
      if (copied_ > kSnapshotLimit) {
        throw place.error("too many changes of a large environment", "put data into files, not into ENV");
      }
      snapshot_ = std::make_shared<const Scope>(scope_);
    }
    return snapshot_;
  }

  const Plan& plan_;
  Scope scope_;
  size_t size_ = 0;    // bytes of the environment
  size_t copied_ = 0;  // bytes of all snapshots
  std::shared_ptr<const Scope> snapshot_;
  std::set<std::string> declared_;
};

}  // namespace

Scope scope_of_image(const std::vector<std::string>& environment) {
  Scope scope{.environment = Variables::from_environment(environment)};
  if (!scope.environment.contains("PATH")) {
    scope.environment.set("PATH", std::string(kDefaultPath));
  }
  return scope;
}

EvaluatedStage evaluate_stage(const Plan& plan, size_t stage, const Scope& start) {
  return StageEvaluator(plan, start).run(plan.stages[stage]);
}

std::vector<KeyValue> proxy_arguments(const Plan& plan) {
  std::vector<KeyValue> result;
  for (const auto& [name, value] : plan.arguments) {
    const std::string lower = text::lower(name);
    if (value.empty() || (lower != "http_proxy" && lower != "https_proxy" && lower != "ftp_proxy" &&
                          lower != "no_proxy" && lower != "all_proxy")) {
      continue;
    }
    result.push_back({.key = text::upper(name), .value = value});
    result.push_back({.key = lower, .value = value});
  }
  return result;
}

std::string run_history(const std::vector<std::string>& words, const Scope& scope) {
  std::vector<std::string> parts;
  std::map<std::string, size_t> places;
  for (const Arg::Item& item : scope.arguments) {
    const std::string text = item.key + "=" + scope.environment.get(item.key).value_or(item.value.value_or(""));
    const auto [place, is_new] = places.try_emplace(item.key, parts.size());
    if (is_new) {
      parts.push_back(text);
    } else {
      parts[place->second] = text;
    }
  }
  std::string line = "RUN ";
  if (!parts.empty()) {
    line += fmt::format("|{} {} ", parts.size(), text::join(parts, " "));
  }
  return line + text::join(words, " ") + " # buildkit";
}

}  // namespace jigsaw::build
