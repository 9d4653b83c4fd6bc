// Applying a layer: a tar stream of changes becomes files.
//
// Fed piece by piece as the bytes arrive; each entry is made by descriptors, relative to a directory that was reached
// without leaving the root, so nothing an archive says ("..", absolute names, links) touches a file outside.
// Two forms:
//
//   kPlain    onto a directory that holds the lower layers' files: whiteouts delete (`unpack IMAGE DIR`)
//   kOverlay  into a directory of its own, as overlayfs wants it: a whiteout is the character device 0/0, an opaque
//             directory has the xattr overlay.opaque; so all layers can be unpacked at once
//
// In overlay form a layer may turn out to depend on what lies below (a directory it does not describe, a hard link to
// a file it does not hold, a path through a lower symbolic link). finish() then completes it with the parents at hand
// or says that it must be applied again on top of them: the outcome is what applying in order would give.
// Source: OCI image spec, layer.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace jigsaw::image {

enum class LayerForm { kPlain, kOverlay };
enum class Privilege {
  kRoot,      // trusted.overlay.*, owners as archived
  kRootless,  // user.overlay.*; owners that can't be set stay ours; devices are left out
};
// kRoot if this process may set trusted xattrs here (CAP_SYS_ADMIN in the first user namespace).
Privilege own_privilege();

inline constexpr uint64_t kBombFloor = 1ULL << 30;  // bytes that any layer may unpack to
inline constexpr uint64_t kBombRatio = 200;         // and how many times its compressed size, beyond that

struct ApplyOptions {
  LayerForm form = LayerForm::kOverlay;
  Privilege privilege = own_privilege();
  uint64_t max_bytes = UINT64_MAX;  // of the uncompressed stream; more is refused as a bomb
  std::vector<std::string> parents{};  // kOverlay: the directories below, bottom first, if they are known already
};
// The limit for a blob of `compressed` bytes: max(kBombFloor, kBombRatio * compressed), or JIGSAW_MAX_LAYER_BYTES.
uint64_t layer_limit(uint64_t compressed);

// What was noticed on the way; kept beside the layer.
struct LayerFacts {
  uint64_t entries = 0;
  uint64_t bytes = 0;            // of file content
  bool implicit_root = false;    // the archive does not describe its root directory
  bool opaque_root = false;      // nothing below it counts
  bool depends = false;          // parents matter: the key is the chain_id
};

class LayerApplier {
 public:
  // `directory` exists. It becomes the layer's root.
  LayerApplier(std::string directory, ApplyOptions options);
  ~LayerApplier();
  LayerApplier(LayerApplier&&) noexcept;
  LayerApplier& operator=(LayerApplier&&) noexcept;

  // The next bytes of the uncompressed tar stream. Bytes after its end are ignored.
  void write(std::string_view bytes);
  // The stream has ended; throws if it was cut. Directories get their final owners, modes and times here.
  void end();

  enum class Finish { kDone, kApplyAgain };
  // Overlay form, after end(): completes what depends on the parents (bottom first). kApplyAgain: start over with
  // ApplyOptions::parents set.
  Finish finish(const std::vector<std::string>& parents);

  const LayerFacts& facts() const;
  const std::string& directory() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace jigsaw::image
