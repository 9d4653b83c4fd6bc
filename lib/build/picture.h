// What `jigsaw build` says of a Dockerfile without building it: the picture of --graph, the findings of --check.
#pragma once

#include "build/builder.h"
#include "build/checks.h"
#include "build/graph.h"

namespace jigsaw::build {

// The stages, with the sizes of the layers that the cache holds already: what a build would find there.
Graph picture_of(const BuildOptions& options);
// The base images are those that the store has: what depends on others is left unchecked.
CheckResult check_of(const BuildOptions& options);

}  // namespace jigsaw::build
