#include "build/stage_runner.h"


#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/interruption.h"
#include "base/json.h"
#include "base/text.h"
#include "build/glob.h"
#include "build/graph.h"
#include "build/layers.h"
#include "build/owner.h"

namespace jigsaw::build {

std::vector<image::LayerDirectory> StageResult::directories() const {
  std::vector<image::LayerDirectory> result;
  for (const Layer& layer : layers) {
    result.push_back(layer.directory);
  }
  return result;
}

std::string StageResult::chain() const {
  std::string text;
  for (const Layer& layer : layers) {
    text += layer.directory.diff_id.hex() + " ";
  }
  return text;
}

std::string Workshop::now() const {
  if (epoch) {
    return text::rfc3339(std::chrono::system_clock::time_point(std::chrono::seconds(epoch->tv_sec)));
  }
  return text::rfc3339(std::chrono::system_clock::now());
}

const StageResult* Workshop::result_of(const Origin& origin) const {
  if (origin.kind == Origin::Kind::kStage) {
    return stages.at(origin.stage) ? &*stages[origin.stage] : nullptr;
  }
  if (origin.kind == Origin::Kind::kImage || origin.kind == Origin::Kind::kNamedContext) {
    const auto found = images.find(key_of(origin));
    return found == images.end() ? nullptr : &found->second;
  }
  return nullptr;
}

Tree Workshop::tree_of(const Origin& origin) const {
  if (const StageResult* result = result_of(origin)) {
    return Tree(store.lower_directories(result->directories()));
  }
  if (origin.kind == Origin::Kind::kNamedContext) {
    return named_contexts.at(origin.name).tree();
  }
  return origin.kind == Origin::Kind::kContext ? context.tree() : Tree({});
}

StageRunner::StageRunner(Workshop& workshop, size_t stage, StageResult base)
    : workshop_(workshop),
      stage_(stage),
      result_(std::move(base)),
      evaluated_(evaluate_stage(workshop.plan, stage, result_.scope)) {
  result_.config.config.on_build.clear();
  result_.steps = result_.cached = 0;
  for (const Step& step : evaluated_.steps) {
    layer_steps_ += makes_layer(step.instruction.body) ? 1 : 0;
  }
}

bool StageRunner::waits() const {
  if (finished()) {
    return false;
  }
  const std::vector<Origin>& origins = step().origins;
  return std::any_of(origins.begin(), origins.end(), [&](const Origin& origin) {
    return origin.kind == Origin::Kind::kStage && !workshop_.stages.at(origin.stage);
  });
}

bool StageRunner::advance(Mode mode) {
  while (!finished()) {
    if (waits()) {
      return false;
    }
    const Instruction& instruction = step().instruction;
    try {
      if (!one_step(mode)) {
        return false;
      }
    } catch (Error& error) {
      if (makes_layer(instruction.body)) {
        tell(Event::Kind::kFailed, instruction.text);
      }
      if (error.message().find(instruction.place.source->name + ":") == 0) {
        throw;
      }
      throw instruction.place.error(fmt::format("{}: {}", instruction.name(), error.message()), error.hint())
          .with_code(error.code());
    }
    ++position_;
    announced_ = false;
  }
  result_.scope = evaluated_.scope;
  return true;
}

bool StageRunner::one_step(Mode mode) {
  const Body& body = step().instruction.body;
  if (const Run* run = std::get_if<Run>(&body)) {
    return run_step(*run, mode);
  }
  if (const Copy* copy = std::get_if<Copy>(&body)) {
    return copy_step(*copy, mode);
  }
  if (const Workdir* workdir = std::get_if<Workdir>(&body)) {
    return workdir_step(*workdir, mode);
  }
  apply_to_config(step(), result_.config, memory_);
  return true;
}

bool StageRunner::workdir_step(const Workdir& workdir, Mode mode) {
  const std::string path = working_directory(result_.config.config.working_dir, workdir.path);
  const auto done = [&] { apply_to_config(step(), result_.config, memory_); };
  if (clean_path(path) == "/") {
    done();
    ++layer_position_;
    add_empty_history(result_.config, "WORKDIR " + path);
    return true;
  }
  StepInputs inputs;
  inputs.add("the layers below", result_.chain());
  inputs.add("the instruction", "WORKDIR " + path);
  inputs.add("the user", result_.config.config.user);
  const std::string user = result_.config.config.user;
  const bool finished =
      layer_step(std::move(inputs), "WORKDIR " + path, mode, Below::kParents,
                 [&](const std::string& upper, const std::vector<std::string>& below) {
                   LayerWriter layer(upper, below);
                   const Owner owner = user.empty() ? Owner{} : find_owner(layer.tree(), user).value_or(Owner{});
                   layer.make_directories(layer.tree().resolve(path),
                                          {.owner = owner, .mode = 0755, .time = workshop_.epoch});
                 });
  if (finished) {
    done();
  }
  return finished;
}

std::string StageRunner::write_result() const {
  json::Value layers = json::Value::array();
  for (const Layer& layer : result_.layers) {
    layers.push_back(layer_to_json(layer));
  }
  json::Value made = json::Value::array();
  for (const MadeStep& step : result_.made) {
    made.push_back({{"key", step.key}, {"layer", layer_to_json(step.layer)}, {"created", step.created},
                    {"instruction", step.instruction}});
  }
  return json::dump({{"position", position_},
                     {"layer_position", layer_position_},
                     {"cmd_set", memory_.cmd_set},
                     {"config", image::write_config(result_.config)},
                     {"layers", layers},
                     {"made", made},
                     {"lineage", result_.lineage},
                     {"steps", result_.steps},
                     {"cached", result_.cached},
                     {"notes", workshop_.last.notes()}});
}

void StageRunner::read_result(const std::string& text) {
  const json::Document document(text, "result of a stage");
  const json::View root = document.root();
  position_ = root.at("position").unsigned_integer();
  layer_position_ = root.at("layer_position").unsigned_integer();
  memory_ = {.cmd_set = root.boolean_or("cmd_set", false)};
  result_.config = image::parse_config(root.at("config").string(), "config of a stage");
  result_.layers.clear();
  for (const std::string& layer : root.at("layers").strings()) {
    result_.layers.push_back(layer_from_json(layer, "layer of a stage"));
  }
  result_.made.clear();
  root.at("made").each([&](const json::View& step) {
    result_.made.push_back({step.at("key").string(), layer_from_json(step.at("layer").string(), "step of a stage"),
                            step.at("created").string(), step.at("instruction").string()});
  });
  result_.lineage = root.at("lineage").string();
  result_.steps = root.at("steps").unsigned_integer();
  result_.cached = root.at("cached").unsigned_integer();
  workshop_.last.add_notes(root.at("notes").string());
  result_.scope = evaluated_.scope;
}

std::vector<std::string> StageRunner::lowers() const { return workshop_.store.lower_directories(result_.directories()); }

Tree StageRunner::tree() const { return Tree(lowers()); }

void StageRunner::tell(Event::Kind kind, std::string text, double seconds, uint64_t bytes) const {
  if (workshop_.options.events != nullptr) {
    const Stage& stage = workshop_.plan.stages[stage_];
    workshop_.options.events->tell({kind, workshop_.plan.stages.size() > 1 ? stage.label : "", layer_position_ + 1,
                                    layer_steps_, std::move(text), seconds, bytes});
  }
}

bool StageRunner::may_use_cache() const {
  const Stage& stage = workshop_.plan.stages[stage_];
  const std::vector<std::string>& without = workshop_.options.uncached_stages;
  return workshop_.options.use_cache && std::find(without.begin(), without.end(), stage.label) == without.end();
}

namespace {

// Who waits for another build can be interrupted, so it asks again and again.
files::Lock lock_step(const image::Store& store, const StepInputs& inputs) {
  const image::Digest key = inputs.key();
  while (true) {
    if (std::optional<files::Lock> lock = store.try_lock_content(key)) {
      return std::move(*lock);
    }
    Interruption::check();
    constexpr timespec kPause{0, 10'000'000};
    ::nanosleep(&kPause, nullptr);
  }
}

}  // namespace

std::string StageRunner::place_name() const { return fmt::format("stage {} step {}", stage_, position_); }

bool StageRunner::layer_step(StepInputs inputs, std::string history, Mode mode, Below below, const Make& make) {
  const std::vector<image::LayerDirectory> parents = below == Below::kParents ? result_.directories() : std::vector<image::LayerDirectory>{};
  if (below == Below::kParents) {
    inputs.add("the steps below", result_.lineage);
  }
  if (workshop_.epoch) {
    inputs.add("SOURCE_DATE_EPOCH", std::to_string(workshop_.epoch->tv_sec));
  }
  std::optional<CachedStep> made = may_use_cache() ? workshop_.cache.find(inputs, parents) : std::nullopt;
  const bool hit = made.has_value();
  if (!hit && mode == Mode::kCachedOnly) {
    return false;
  }
  tell_of_step(inputs, made);
  if (!hit) {
    const auto start = std::chrono::steady_clock::now();
    made = make_step(inputs, parents, below, make);
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    tell(Event::Kind::kDone, step().instruction.text, spent.count(), made->layer.blob.size);
  }
  result_.layers.push_back(made->layer);
  result_.made.push_back({inputs.key().hex(), made->layer, made->created, as_note(step().instruction.text)});
  result_.lineage = image::digest_of(result_.lineage + inputs.key().hex()).hex();
  result_.config.diff_ids.push_back(made->layer.directory.diff_id);
  add_history(result_.config, std::move(history), made->created);
  ++result_.steps;
  result_.cached += hit ? 1 : 0;
  ++layer_position_;
  return true;
}

void StageRunner::tell_of_step(const StepInputs& inputs, const std::optional<CachedStep>& cached) {
  tell(cached ? Event::Kind::kCached : Event::Kind::kStep, step().instruction.text, 0, cached ? cached->layer.blob.size : 0);
  if (workshop_.options.explain_cache) {
    tell(Event::Kind::kExplain, cached              ? "hit: a step with the same inputs made this layer"
                                : may_use_cache() ? "miss: " + workshop_.last.reason(place_name(), inputs)
                                                  : "not asked: --no-cache");
  }
  workshop_.last.note(place_name(), inputs);
}

CachedStep StageRunner::make_step(const StepInputs& inputs, const std::vector<image::LayerDirectory>& parents, Below below, const Make& make) {
  Interruption::check();
  // Two builds of the same thing: the second waits here and then finds what the first one made.
  const files::Lock lock = lock_step(workshop_.store, inputs);
  // Without the cache, too, stages that have a step in common make it once.
  const std::string made_here = fmt::format("{}/made-{}", workshop_.shared, inputs.key().hex());
  if (may_use_cache() || files::exists(made_here)) {
    if (auto meanwhile = workshop_.cache.find(inputs, parents)) {
      return std::move(*meanwhile);
    }
  }
  const std::vector<std::string> lower = below == Below::kParents ? lowers() : std::vector<std::string>{};
  CachedStep made{make_layer(parents, lower, make), workshop_.now(), step().instruction.text};
  workshop_.cache.put(inputs, made, made.instruction);
  if (!may_use_cache()) {
    files::replace(made_here, "", {.mode = 0600, .sync = false});
  }
  return made;
}

Layer StageRunner::make_layer(const std::vector<image::LayerDirectory>& parents,
                              const std::vector<std::string>& lower, const Make& make) {
  const files::TemporaryDirectory work(workshop_.store.temporary_directory(), "build-");
  const std::string upper = work.path() + "/upper";
  make_shown_directory(upper);
  make(upper, lower);
  return seal_layer(workshop_.store, upper, parents, workshop_.epoch);
}

}  // namespace jigsaw::build
