// The picture of a build: stages, what each takes from which, the layers they make, their sizes, what the cache held.
//
// As text:
//
//       base                 FROM debian:12                   80.0MB
//         RUN make                                    layer   1.20MB  cached
//     * final                FROM scratch
//         COPY --from=base /app /app                  layer   16.4kB  to build
//         ^ takes files from base
//     never built: docs
//     the image has 1 layer on its base, 16.4kB in all; 81.2MB stay behind in other stages
//
// or as an SVG document, stages as boxes and dependencies as arrows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "build/stages.h"

namespace jigsaw::build {

struct GraphStep {
  std::string text;               // the instruction as one line
  bool makes_layer = false;       // RUN, COPY, ADD, WORKDIR
  std::optional<uint64_t> size;   // bytes of its layer, once it is known
  std::optional<bool> cached;     // whether it came from the cache, once that is known
};
struct GraphStage {
  std::string label;
  std::string from;                   // "alpine:3.19", "scratch" or the label of a stage
  std::optional<uint64_t> base_size;  // bytes of the base image
  bool needed = false;
  bool target = false;
  std::vector<GraphStep> steps;
  std::vector<size_t> dependencies;   // indices, FROM included
  std::optional<size_t> base_stage;
};
struct Graph {
  std::vector<GraphStage> stages;
};

// What a build found out about a stage: one entry for each instruction, in order; may be shorter.
struct StageFacts {
  std::optional<uint64_t> base_size;
  std::vector<std::optional<uint64_t>> sizes;
  std::vector<std::optional<bool>> cached;
};
// RUN, COPY, ADD and WORKDIR make layers.
bool makes_layer(const Body& body);
// The plan as a picture; `facts` by stage index.
Graph make_graph(const Plan& plan, const std::map<size_t, StageFacts>& facts = {});

std::string graph_text(const Graph& graph);
std::string graph_svg(const Graph& graph);

}  // namespace jigsaw::build
