// Copying into a layer: what COPY and ADD do once their sources are known.
//
// Where things go is BuildKit's rule (docs.docker.com/reference/dockerfile, "COPY"):
//
//   source       destination             result
//   file         /d/ or a directory d    /d/<name of the file>
//   file         /d, not there           /d
//   directory    /d                      its contents in /d, never the directory itself
//
// Directories on the way to the destination are made, mode 0755, for the owner that --chown names or root. Existing
// ones are kept as they are, but a directory that is met below a source takes over the mode and owner it has there.
// Hard links within one source stay hard links, symbolic links stay as they are.
#pragma once

#include <optional>
#include <string>

#include "build/chmod.h"
#include "build/layer_writer.h"
#include "build/source_walk.h"

namespace jigsaw::build {

struct CopyOptions {
  std::optional<Owner> owner;      // --chown
  std::optional<ModeChange> mode;  // --chmod
  std::optional<timespec> time;    // instead of the files' own times (SOURCE_DATE_EPOCH)
};

// `destination` is absolute and cleaned, with a last "/" or "/." if the user wrote one.
void copy_source(LayerWriter& layer, const CopySource& source, const SourceMatch& match,
                 const std::string& destination, const CopyOptions& options);

// The directories above the destination (and the destination itself if it ends in "/").
void prepare_destination(LayerWriter& layer, const std::string& destination, const CopyOptions& options);

// What new directories get.
Attributes directory_attributes(const CopyOptions& options);

}  // namespace jigsaw::build
