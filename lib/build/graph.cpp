#include "build/graph.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace jigsaw::build {
namespace {

constexpr size_t kTextWidth = 60;  // characters of an instruction that are shown

std::string origin_name(const Plan& plan, const Origin& origin) {
  switch (origin.kind) {
    case Origin::Kind::kStage: return plan.stages[origin.stage].label;
    case Origin::Kind::kImage: return origin.name;
    case Origin::Kind::kNamedContext: return "context " + origin.name;
    case Origin::Kind::kScratch: return "scratch";
    default: return "";
  }
}

// One line of at most `width` bytes, cut between characters.
std::string shorten(std::string_view text, size_t width) {
  std::string line = text::printable_line(text);
  if (line.size() <= width) {
    return line;
  }
  size_t end = width - 3;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) {
    --end;
  }
  return line.substr(0, end) + "...";
}

std::string without_end_blanks(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// The layers of a stage with those of the stages it is FROM.
struct Totals {
  size_t layers = 0;
  uint64_t bytes = 0;
  bool known = true;
};

Totals totals_of(const Graph& graph, const GraphStage& stage) {
  Totals totals;
  if (stage.base_stage) {
    totals = totals_of(graph, graph.stages[*stage.base_stage]);
  } else {
    totals.bytes = stage.base_size.value_or(0);
    totals.known = stage.base_size.has_value() || stage.from == "scratch";
  }
  for (const GraphStep& step : stage.steps) {
    if (step.makes_layer) {
      totals.layers += 1;
      totals.bytes += step.size.value_or(0);
      totals.known = totals.known && step.size.has_value();
    }
  }
  return totals;
}

// What the stages that are built but not part of the image hold; a base that several stand on counts once, and not at
// all if the image stands on it too.
uint64_t left_behind(const Graph& graph, const GraphStage& target) {
  std::vector<bool> part(graph.stages.size(), false);
  std::set<std::string> bases;
  for (const GraphStage* stage = &target; stage != nullptr;
       stage = stage->base_stage ? &graph.stages[*stage->base_stage] : nullptr) {
    part[static_cast<size_t>(stage - graph.stages.data())] = true;
    bases.insert(stage->from);
  }
  uint64_t bytes = 0;
  for (size_t index = 0; index < graph.stages.size(); ++index) {
    const GraphStage& stage = graph.stages[index];
    if (!stage.needed || part[index]) {
      continue;
    }
    bytes += bases.insert(stage.from).second ? stage.base_size.value_or(0) : 0;
    for (const GraphStep& step : stage.steps) {
      bytes += step.size.value_or(0);
    }
  }
  return bytes;
}

std::string summary(const Graph& graph) {
  const auto target = std::find_if(graph.stages.begin(), graph.stages.end(), [](const auto& stage) { return stage.target; });
  if (target == graph.stages.end()) {
    return "";
  }
  const Totals totals = totals_of(graph, *target);
  std::string text = fmt::format("the image has {} layer{} on its base", totals.layers, totals.layers == 1 ? "" : "s");
  if (!totals.known) {
    return text + "\n";
  }
  text += fmt::format(", {} in all", text::human_size(totals.bytes));
  if (const uint64_t behind = left_behind(graph, *target); behind > 0) {
    text += fmt::format("; {} stay behind in other stages", text::human_size(behind));
  }
  return text + "\n";
}

std::string facts_of(const GraphStep& step) {
  std::string text = step.makes_layer ? "layer" : "";
  if (step.makes_layer && step.size) {
    text += fmt::format(" {:>8}", text::human_size(*step.size));
  }
  if (step.cached) {
    text += *step.cached ? "  cached" : "  to build";
  }
  return text;
}

std::string escape_xml(std::string_view text) {
  std::string result;
  for (const char c : text::printable_line(text)) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      default: result += c;
    }
  }
  return result;
}

// Where a box lies in the drawing. A stage stands one column right of the last stage it depends on.
struct Box {
  size_t column = 0;
  int x = 0;
  int y = 0;
  int height = 0;
};

constexpr int kBoxWidth = 420;
constexpr int kColumn = 500;
constexpr int kLine = 18;
constexpr int kGap = 24;

std::vector<Box> lay_out(const Graph& graph) {
  std::vector<Box> boxes(graph.stages.size());
  std::map<size_t, int> bottom;
  for (size_t index = 0; index < boxes.size(); ++index) {
    Box& box = boxes[index];
    for (const size_t dependency : graph.stages[index].dependencies) {
      if (dependency < index) {
        box.column = std::max(box.column, boxes[dependency].column + 1);
      }
    }
    int& free = bottom.try_emplace(box.column, kGap).first->second;
    box.x = kGap + static_cast<int>(box.column) * kColumn;
    box.y = free;
    box.height = kLine * (static_cast<int>(graph.stages[index].steps.size()) + 2) + 8;
    free += box.height + kGap;
  }
  return boxes;
}

std::string draw_box(const GraphStage& stage, const Box& box) {
  const std::string_view colour = stage.target ? "#1a7f37" : stage.needed ? "#0969da" : "#8c959f";
  std::string svg = fmt::format(
      "  <g{}>\n    <rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"#ffffff\" stroke=\"{}\" "
      "stroke-width=\"2\"/>\n",
      stage.needed ? "" : " opacity=\"0.5\"", box.x, box.y, kBoxWidth, box.height, colour);
  const auto line = [&](int row, std::string_view style, std::string_view text, std::string_view right) {
    const int y = box.y + kLine * (row + 1) + 2;
    svg += fmt::format("    <text x=\"{}\" y=\"{}\"{}>{}</text>\n", box.x + 10, y, style, escape_xml(text));
    if (!right.empty()) {
      svg += fmt::format("    <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", box.x + kBoxWidth - 10, y,
                         escape_xml(right));
    }
  };
  line(0, " font-weight=\"bold\"", stage.label, stage.target ? "the image" : stage.needed ? "" : "never built");
  line(1, "", "FROM " + shorten(stage.from, 40), stage.base_size ? text::human_size(*stage.base_size) : "");
  for (size_t index = 0; index < stage.steps.size(); ++index) {
    const GraphStep& step = stage.steps[index];
    line(static_cast<int>(index) + 2, step.cached.value_or(false) ? " fill=\"#57606a\"" : "", shorten(step.text, 34),
         facts_of(step));
  }
  return svg + "  </g>\n";
}

std::string draw_arrows(const Graph& graph, const std::vector<Box>& boxes) {
  std::string svg;
  for (size_t index = 0; index < boxes.size(); ++index) {
    const GraphStage& stage = graph.stages[index];
    for (const size_t dependency : stage.dependencies) {
      const Box& from = boxes[dependency];
      const Box& to = boxes[index];
      const int y = from.y + kLine + 4;
      const int end = to.y + kLine + 4;
      const int x = from.x + kBoxWidth;
      svg += fmt::format(
          "  <path d=\"M {} {} C {} {}, {} {}, {} {}\" fill=\"none\" stroke=\"#57606a\"{} marker-end=\"url(#arrow)\"/>\n",
          x, y, x + 40, y, to.x - 40, end, to.x - 2, end,
          stage.base_stage == dependency ? " stroke-width=\"2\"" : " stroke-dasharray=\"5 3\"");
    }
  }
  return svg;
}

}  // namespace

bool makes_layer(const Body& body) {
  return std::holds_alternative<Run>(body) || std::holds_alternative<Copy>(body) ||
         std::holds_alternative<Workdir>(body);
}

Graph make_graph(const Plan& plan, const std::map<size_t, StageFacts>& facts) {
  Graph graph;
  for (const Stage& stage : plan.stages) {
    const auto known = facts.find(stage.index);
    const StageFacts& own = known == facts.end() ? StageFacts{} : known->second;
    GraphStage picture{.label = stage.label,
                       .from = origin_name(plan, stage.base),
                       .base_size = own.base_size,
                       .needed = plan.needs(stage.index),
                       .target = stage.index == plan.target,
                       .dependencies = plan.dependencies(stage.index)};
    if (stage.base.kind == Origin::Kind::kStage) {
      picture.base_stage = stage.base.stage;
    }
    for (size_t index = 0; index < stage.instructions.size(); ++index) {
      const Instruction& instruction = stage.instructions[index].instruction;
      GraphStep step{.text = instruction.text, .makes_layer = makes_layer(instruction.body)};
      step.size = index < own.sizes.size() ? own.sizes[index] : std::nullopt;
      step.cached = index < own.cached.size() ? own.cached[index] : std::nullopt;
      picture.steps.push_back(std::move(step));
    }
    graph.stages.push_back(std::move(picture));
  }
  return graph;
}

std::string graph_text(const Graph& graph) {
  std::string text;
  std::vector<std::string> unused;
  for (const GraphStage& stage : graph.stages) {
    if (!stage.needed) {
      unused.push_back(stage.label);
      continue;
    }
    text += without_end_blanks(fmt::format("{} {:<20} FROM {:<37} {:>14}", stage.target ? '*' : ' ', stage.label,
                                         shorten(stage.from, 37),
                                         stage.base_size ? text::human_size(*stage.base_size) : "")) +
            "\n";
    for (const GraphStep& step : stage.steps) {
      text += without_end_blanks(fmt::format("    {:<{}} {}", shorten(step.text, kTextWidth), kTextWidth, facts_of(step))) + "\n";
    }
    for (const size_t dependency : stage.dependencies) {
      if (stage.base_stage != dependency) {
        text += fmt::format("    ^ takes files from {}\n", graph.stages[dependency].label);
      }
    }
  }
  if (!unused.empty()) {
    text += fmt::format("never built: {}\n", text::join(unused, ", "));
  }
  return text + summary(graph);
}

std::string graph_svg(const Graph& graph) {
  const std::vector<Box> boxes = lay_out(graph);
  int width = 0;
  int height = 0;
  for (const Box& box : boxes) {
    width = std::max(width, box.x + kBoxWidth + kGap);
    height = std::max(height, box.y + box.height + kGap);
  }
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"monospace\" font-size=\"12\">\n"
      "  <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" "
      "orient=\"auto\"><path d=\"M 0 0 L 8 4 L 0 8 z\" fill=\"#57606a\"/></marker></defs>\n"
      "  <rect width=\"{0}\" height=\"{1}\" fill=\"#f6f8fa\"/>\n",
      width, height + kLine);
  svg += draw_arrows(graph, boxes);
  for (size_t index = 0; index < boxes.size(); ++index) {
    svg += draw_box(graph.stages[index], boxes[index]);
  }
  return svg + fmt::format("  <text x=\"{}\" y=\"{}\">{}</text>\n</svg>\n", kGap, height, escape_xml(text::trim(summary(graph))));
}

}  // namespace jigsaw::build
