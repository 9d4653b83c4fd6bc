// The build cache as an image, for other machines: --cache-to writes one, --cache-from looks into one.
//
//     manifest ──> config    diff_ids, and the label "jigsaw.build.steps": [{"key", "layer", "created", "instruction"}]
//             └──> layers    what the steps made, each once
//
// Any registry and any tool that copies images can carry it. What comes in is believed as far as its digests go: a layer
// is unpacked only when a step asks for its key, and must have the diff_id that the config gives it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "build/cache.h"
#include "engine/paths.h"
#include "image/store.h"
#include "image/unpack.h"

namespace jigsaw::build {

// type=local,src=DIR (to: dest=DIR[,mode=min|max]), type=registry,ref=REF, or just REF.
struct CachePlace {
  enum class Kind { kLocal, kRegistry } kind = Kind::kRegistry;
  std::string place;        // a directory or a reference
  enum class Stages { kTarget, kAll } stages = Stages::kTarget;  // mode=min, mode=max
};
enum class CacheDirection { kFrom, kTo };
CachePlace parse_cache_place(const std::string& text, CacheDirection direction);

// One layer of an image elsewhere, brought into the store on top of `parents`.
Layer take_layer(const image::Store& store, const image::LayoutImage& layout, size_t index,
                 const std::vector<image::LayerDirectory>& parents);

// A cache that came from elsewhere.
class ForeignCache {
 public:
  // Throws if there is no cache at the place.
  ForeignCache(const engine::Paths& paths, const image::Store& store, const CachePlace& place);
  // The layer of a step, now in the store on top of `parents`.
  std::optional<CachedStep> find(const image::Store& store, const std::string& key,
                                 const std::vector<image::LayerDirectory>& parents) const;

 private:
  struct Entry {
    size_t layer;
    std::string created, instruction;
  };
  std::shared_ptr<files::TemporaryDirectory> fetched_;
  std::shared_ptr<const image::LayoutImage> layout_;
  std::map<std::string, Entry> entries_;
};

void write_cache(const engine::Paths& paths, const image::Store& store, const CachePlace& place,
                 const std::vector<MadeStep>& steps);

}  // namespace jigsaw::build
