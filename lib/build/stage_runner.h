// One stage, step by step.
//
// advance() goes from instruction to instruction: those that only change the config are applied; those that make a
// layer are looked up in the cache and, if that may be, executed. The runner can stop at the first step that the cache
// does not have and go on later, in another process.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "build/builder.h"
#include "build/cache.h"
#include "build/content_hash.h"
#include "build/context.h"
#include "build/evaluate.h"
#include "build/image_changes.h"
#include "build/run_states.h"
#include "image/store.h"

namespace jigsaw::runtime {
struct Spec;
struct Surroundings;
}  // namespace jigsaw::runtime

namespace jigsaw::build {

class RunMounts;
struct RunPlan;

// A file system made of layers, with the config that belongs to it.
struct StageResult {
  image::ImageConfig config;
  std::vector<Layer> layers;  // bottom first
  Scope scope;                // variables at its end
  size_t inherited = 0;       // history entries that came with the base image
  size_t steps = 0;
  size_t cached = 0;
  std::vector<MadeStep> made;  // the steps behind the layers, with those of the stages below
  std::string lineage;         // one text for all the steps since the base image: their keys

  std::vector<image::LayerDirectory> directories() const;  // bottom first
  std::string chain() const;                               // one text for all the layers' content
};

// What all stages of a build share.
struct Workshop {
  const BuildOptions& options;
  const image::Store& store;
  const StepCache& cache;
  LastBuild& last;
  Plan plan;
  Context context;
  std::map<std::string, Context> named_contexts;       // that are directories
  std::map<std::string, StageResult> images;           // other images that are read, by key_of()
  std::vector<std::optional<StageResult>> stages;      // those that are finished
  std::optional<timespec> epoch;                       // SOURCE_DATE_EPOCH
  const RunStates* run_states = nullptr;               // where RUNs keep their containers' states
  std::string shared;                                  // a directory for what is mounted into every RUN
  FileHashes context_hashes{""};
  FileHashes layer_hashes{""};

  static std::string key_of(const Origin& origin) { return origin.name + "\n" + origin.platform; }
  std::string now() const;  // RFC 3339: the time of this build, or the epoch
  // The layers behind an origin (top first), or nothing for a context.
  const StageResult* result_of(const Origin& origin) const;
  Tree tree_of(const Origin& origin) const;
};

enum class Mode { kCachedOnly, kExecute };

class StageRunner {
 public:
  // `base` is what FROM gives. Evaluates the stage's variables at once: mistakes show before the first layer is made.
  StageRunner(Workshop& workshop, size_t stage, StageResult base);

  // Goes on until the end (true), until a step reads a stage that is not finished, or until a step has to be executed in
  // Mode::kCachedOnly (false).
  bool advance(Mode mode);
  bool finished() const { return position_ == evaluated_.steps.size(); }
  // Whether the next step reads a stage that is not finished.
  bool waits() const;
  const StageResult& result() const { return result_; }
  StageResult take_result() { return std::move(result_); }
  // The result as text, for the process that waits for this one, and back.
  std::string write_result() const;
  void read_result(const std::string& text);

  // --- for the steps' own files (copy_step.cpp, run_step.cpp)
  Workshop& workshop() { return workshop_; }
  const Step& step() const { return evaluated_.steps[position_]; }
  // Top first, as an overlay takes them.
  std::vector<std::string> lowers() const;
  // The tree as it stands before this step.
  Tree tree() const;
  void tell(Event::Kind kind, std::string text, double seconds = 0, uint64_t bytes = 0) const;

  enum class Below { kParents, kNothing };  // kNothing: COPY --link does not depend on what lies below
  using Make = std::function<void(const std::string& upper, const std::vector<std::string>& lowers)>;
  // One layer: from the cache, or made by `make` in an empty directory. False if it would have to be made but may not.
  bool layer_step(StepInputs inputs, std::string history, Mode mode, Below below, const Make& make);

 private:
  bool one_step(Mode mode);
  bool workdir_step(const Workdir& workdir, Mode mode);
  bool copy_step(const Copy& copy, Mode mode);
  bool run_step(const Run& run, Mode mode);
  void execute_run(RunPlan plan, RunMounts& mounts, const Invocation& call, const std::string& upper,
                   const std::vector<std::string>& below);
  void open_shell(runtime::Spec spec, runtime::Surroundings surroundings, const std::string& work) const;
  bool may_use_cache() const;
  std::string place_name() const;
  void tell_of_step(const StepInputs& inputs, const std::optional<CachedStep>& cached);
  CachedStep make_step(const StepInputs& inputs, const std::vector<image::LayerDirectory>& parents, Below below, const Make& make);
  Layer make_layer(const std::vector<image::LayerDirectory>& parents, const std::vector<std::string>& lowers,
                   const Make& make);

  Workshop& workshop_;
  size_t stage_;
  StageResult result_;
  EvaluatedStage evaluated_;
  StageMemory memory_;
  size_t position_ = 0;
  size_t layer_steps_ = 0;
  size_t layer_position_ = 0;
  bool announced_ = false;
};

}  // namespace jigsaw::build
