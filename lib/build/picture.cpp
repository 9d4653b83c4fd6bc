#include "build/picture.h"

#include "build/bases.h"
#include "build/site.h"

namespace jigsaw::build {
namespace {

// Listens to runners that do only what the cache allows.
class Listener : public EventSink {
 public:
  void tell(const Event& event) override {
    if (event.kind == Event::Kind::kCached) {
      found[event.step] = event.layer_bytes;
    }
  }
  std::map<size_t, uint64_t> found;  // step -> size of its layer
};

// One entry for each instruction: the n-th that makes a layer is step n.
StageFacts facts_of(const Stage& stage, const StageResult& base, const std::map<size_t, uint64_t>& found) {
  StageFacts facts;
  if (stage.base.kind != Origin::Kind::kStage && stage.base.kind != Origin::Kind::kScratch) {
    facts.base_size = 0;
    for (const Layer& layer : base.layers) {
      *facts.base_size += layer.blob.size;
    }
  }
  size_t step = 0;
  for (const PlannedInstruction& planned : stage.instructions) {
    const bool is_step = makes_layer(planned.instruction.body);
    step += is_step ? 1 : 0;
    const auto known = is_step ? found.find(step) : found.end();
    facts.sizes.push_back(known == found.end() ? std::nullopt : std::optional<uint64_t>(known->second));
    facts.cached.push_back(is_step ? std::optional<bool>(known != found.end()) : std::nullopt);
  }
  return facts;
}

bool has_base(const Workshop& workshop, const Stage& stage) {
  return stage.base.kind == Origin::Kind::kScratch || workshop.result_of(stage.base) != nullptr;
}

// Whether all that the stage's steps read is there: an image that was not fetched is not.
bool has_sources(const Workshop& workshop, const Stage& stage) {
  for (const PlannedInstruction& planned : stage.instructions) {
    for (const Origin& origin : planned.origins) {
      const bool elsewhere = origin.kind == Origin::Kind::kImage || origin.kind == Origin::Kind::kNamedContext;
      if (elsewhere && workshop.result_of(origin) == nullptr && !workshop.named_contexts.contains(origin.name)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

Graph picture_of(const BuildOptions& options) {
  Listener listener;
  BuildOptions quiet = options;
  quiet.events = &listener;
  Site site(quiet, Site::Purpose::kPicture);
  Workshop& workshop = site.workshop;
  load_bases(workshop, Bases::kAtHand);
  std::map<size_t, StageFacts> facts;
  for (const size_t index : workshop.plan.order) {
    const Stage& stage = workshop.plan.stages[index];
    if (!has_base(workshop, stage) || !has_sources(workshop, stage)) {
      continue;
    }
    const StageResult base = base_of(workshop, stage);
    listener.found.clear();
    StageRunner runner(workshop, index, base);
    if (runner.advance(Mode::kCachedOnly)) {
      workshop.stages[index] = runner.take_result();
    }
    facts[index] = facts_of(stage, base, listener.found);
  }
  return make_graph(workshop.plan, facts);
}

CheckResult check_of(const BuildOptions& options) {
  Site site(options, Site::Purpose::kCheck);
  load_bases(site.workshop, Bases::kAtHand);
  return site.check();
}

}  // namespace jigsaw::build
