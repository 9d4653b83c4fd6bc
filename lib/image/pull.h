// Pull: an image from any source into the store, each layer once.
//
//     plan     root document ─▶ manifest for the platform ─▶ config ─▶ per layer: here, packed here, or missing
//     layers   network ─▶ SHA-256, blob file ─▶ inflate ─▶ SHA-256 ─▶ files      all at once, in directories of their own
//     commit   layers from the bottom up as they get ready; config, manifest, and last of all the name
//
// A layer counts only if its blob has the digest of the manifest and its plain tar the diff_id of the config. Of several
// processes that pull the same, one fetches and the others wait for it. Killed at any instant it leaves a whole store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "image/source.h"
#include "image/store.h"

namespace jigsaw::image {

// On a name's entry in index.json: the digest of the index it came from, to see whether a tag has moved.
inline constexpr std::string_view kSourceAnnotation = "io.jigsaw.source.digest";

enum class LayerState { kHere, kPacked, kMissing };

struct LayerPlan {
  Descriptor blob;
  Digest diff_id;
  LayerState state = LayerState::kMissing;
};

struct PullPlan {
  std::string name;       // in the store; "" for none
  bool unchanged = false; // nothing to do: `image` is what is here
  std::optional<Image> here;
  std::optional<Digest> source_digest;  // of the root document, if that is an index
  Descriptor descriptor{.media_type = {}, .digest = digest_of("")};  // of the manifest
  std::string manifest_text;
  Manifest manifest{.config = descriptor};
  std::string config_text;
  ImageConfig config;
  std::vector<LayerPlan> layers;

  uint64_t bytes_to_fetch() const;
};

struct PullOptions {
  std::optional<Platform> platform;  // nothing: this machine's
  progress::Reporter* progress = nullptr;
};

// Asks what there is, and compares with what is here. Writes nothing.
PullPlan plan_pull(const Store& store, Source& source, const std::string& name, const PullOptions& options);
// Does it. The caller holds store.use(). Returns the image as it is in the store.
Image carry_out(const Store& store, Source& source, const PullPlan& plan, const PullOptions& options);
// Both.
Image pull(const Store& store, Source& source, const std::string& name, const PullOptions& options);

}  // namespace jigsaw::image
