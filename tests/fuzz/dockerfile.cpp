// Any bytes as a Dockerfile: parsed, planned, evaluated, checked and drawn. Only an Error may come out.
#include <string>

#include "build/checks.h"
#include "build/graph.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace jigsaw;
  try {
    const build::Recipe recipe =
        build::parse_recipe(build::make_source("Dockerfile", std::string(reinterpret_cast<const char*>(data), size)));
    const build::CheckResult checks = build::check_recipe(recipe, {});
    build::format_findings(checks.findings);
    const build::Graph graph = build::make_graph(build::plan_stages(recipe, {}));
    build::graph_text(graph);
    build::graph_svg(graph);
  } catch (const Error&) {
  }
  return 0;
}
