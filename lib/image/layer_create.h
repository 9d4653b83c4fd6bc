// Making a layer: a directory becomes a tar stream.
//
//   kPlain    the whole tree as it is (`import`, `export`, the first layer of something)
//   kOverlay  the upper directory of an overlay: its whiteouts become .wh.NAME, its opaque directories .wh..wh..opq
//
// Entries come sorted by name, a directory before what it holds, so the same tree gives the same bytes.
// Source: OCI image spec, layer.md, "Representing Changes".
#pragma once

#include <ctime>
#include <optional>
#include <string>

#include "image/decompress.h"
#include "image/layer_apply.h"

namespace jigsaw::image {

struct CreateOptions {
  LayerForm form = LayerForm::kOverlay;
  Privilege privilege = own_privilege();
  // Times later than this are set to it, so that the same build gives the same bytes (SOURCE_DATE_EPOCH).
  std::optional<time_t> newest{};
  enum class RootEntry { kLeaveOut, kInclude };
  RootEntry root_entry = RootEntry::kLeaveOut;
};

// Hands the tar stream of `directory` to `sink`. Sockets are left out, as in every tar.
LayerFacts create_layer(const std::string& directory, const CreateOptions& options, const ByteSink& sink);
// The same for a directory that is reached only by its descriptor, such as a mount that is attached nowhere.
LayerFacts create_layer_at(int directory, const CreateOptions& options, const ByteSink& sink);

}  // namespace jigsaw::image
