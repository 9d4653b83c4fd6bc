#include "build/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace jigsaw::build {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Graph example() {
  const Plan plan = plan_stages(parse_recipe(make_source("Dockerfile",
                                                         "FROM debian AS tools\nRUN make \\\n  all\nFROM scratch AS docs\n"
                                                         "FROM scratch\nENV a=1\nCOPY --from=tools /a /<b>\n")),
                                {});
  return make_graph(plan, {{0, {.base_size = 80000000, .sizes = {1200000}, .cached = {true}}},
                           {2, {.sizes = {std::nullopt, 16400}, .cached = {false, false}}}});
}

TEST(Graph, TextShowsStagesLayersAndWhatStaysBehind) {
  EXPECT_EQ(graph_text(example()),
            "  tools                FROM debian                                        80.0MB\n"
            "    RUN make   all                                               layer   1.20MB  cached\n"
            "* stage-2              FROM scratch\n"
            "    ENV a=1                                                        to build\n"
            "    COPY --from=tools /a /<b>                                    layer   16.4kB  to build\n"
            "    ^ takes files from tools\n"
            "never built: docs\n"
            "the image has 1 layer on its base, 16.4kB in all; 81.2MB stay behind in other stages\n");
}

TEST(Graph, SvgIsWellFormedAndEscaped) {
  const std::string svg = graph_svg(example());
  EXPECT_THAT(svg, HasSubstr("COPY --from=tools /a /&lt;b&gt;"));
  EXPECT_THAT(svg, Not(HasSubstr("/<b>")));
  EXPECT_THAT(svg, HasSubstr("never built"));
  EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
}

TEST(Graph, NeedsNoFacts) {
  const Plan plan = plan_stages(parse_recipe(make_source("Dockerfile", "FROM a AS b\nRUN x\nFROM b\nWORKDIR /\n")), {});
  EXPECT_THAT(graph_text(make_graph(plan)), HasSubstr("the image has 2 layers on its base\n"));
}

}  // namespace
}  // namespace jigsaw::build
