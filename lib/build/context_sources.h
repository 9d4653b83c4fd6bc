// The context and the Dockerfile, wherever they come from: see context.h for the forms.
#pragma once

#include "build/builder.h"
#include "build/context.h"
#include "image/store.h"

namespace jigsaw::build {

struct ContextAndFile {
  Context context;
  Source dockerfile;
};

ContextAndFile open_context(const image::Store& store, const BuildOptions& options);

// --build-context NAME=ADDRESS: a git repository, an archive's files, or the one file that is there.
Context fetched_context(const image::Store& store, const std::string& address);

}  // namespace jigsaw::build
