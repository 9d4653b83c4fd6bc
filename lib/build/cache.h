// The build cache: which layer a step made, found again by what went into it.
//
//     key = SHA-256 of { the layers below, the instruction, its environment, the content of its files … }
//
// Nothing of the key is a time, a path of this machine or a name of a stage: the same inputs hit across stages, builds
// and contexts. "The layers below" are their diff_ids and the keys of the steps that made them: after another command a
// RUN runs again even if that left the same files (it may have changed what lies outside), while a COPY asks only what the
// files are that it copies. A step is entered only once its layer is in the store: a failed one never is.
//
//     <root>/cache/steps/<key>   the layer: diff_id, blob, time
//     <root>/cache/last/<build>  the inputs of each step the last time this build ran: why it misses now
//
// Each entry holds its blob and layer in the store (Store::hold), until `system prune` lets go of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "image/store.h"

namespace jigsaw::build {

// A layer with its blob.
struct Layer {
  image::LayerDirectory directory;
  image::Descriptor blob;
};

// What goes into a step, part by part: {"instruction", "RUN make"}, {"layers below", …}.
struct StepInputs {
  std::vector<std::pair<std::string, std::string>> parts;
  void add(std::string name, std::string value) { parts.emplace_back(std::move(name), std::move(value)); }
  image::Digest key() const;
};

struct CachedStep {
  Layer layer;
  std::string created;  // RFC 3339
  std::string instruction;
};

// An instruction as it is noted beside its layer, for people: its beginning.
std::string as_note(const std::string& instruction);

// A step of this build and the layer it has, for --cache-to.
struct MadeStep {
  std::string key;
  Layer layer;
  std::string created;
  std::string instruction;
};

class ForeignCache;  // cache_image.h

class StepCache {
 public:
  StepCache(const image::Store& store, std::string directory);
  ~StepCache();

  // Asked when the cache here knows nothing.
  void add_foreign(ForeignCache cache);

  // The layer that `inputs` made, if it is still in the store.
  std::optional<CachedStep> find(const StepInputs& inputs, const std::vector<image::LayerDirectory>& parents) const;
  void put(const StepInputs& inputs, const CachedStep& step, const std::string& instruction) const;

  const std::string& directory() const { return directory_; }

 private:
  std::optional<CachedStep> find_here(const StepInputs& inputs, const std::vector<image::LayerDirectory>& parents) const;
  std::optional<CachedStep> find_foreign(const StepInputs& inputs, const std::vector<image::LayerDirectory>& parents) const;

  const image::Store& store_;
  std::string directory_;
  std::vector<ForeignCache> foreign_;
};

// The inputs of every step of one build (context, Dockerfile and target), kept for the next time.
class LastBuild {
 public:
  LastBuild(std::string directory, const std::string& build);
  // Why a step missed that is at `place` ("stage 1 step 3"): what differs from the last time.
  std::string reason(const std::string& place, const StepInputs& inputs) const;
  void note(const std::string& place, const StepInputs& inputs);
  // What was noted, as text: a stage that is built in a process of its own hands it back.
  std::string notes() const;
  void add_notes(const std::string& text);
  void save();

 private:
  using Parts = std::map<std::string, std::string>;
  using Places = std::map<std::string, Parts>;
  static void read(const std::string& text, const std::string& name, Places& places);
  std::string path_;
  Places before_;
  Places now_;
};

// JSON of a layer, for the files above and for what a stage's process hands back.
std::string layer_to_json(const Layer& layer);
Layer layer_from_json(const std::string& text, const std::string& name);

}  // namespace jigsaw::build
