// --output: the result somewhere else than in the store alone.
//
//     type=local,dest=DIR    the files of the target stage, as a directory
//     type=tar,dest=FILE     the same as one tar archive; "-" is standard output
//     DIR, or -              short for type=local, type=tar
#pragma once

#include <optional>
#include <string>

#include "build/stage_runner.h"

namespace jigsaw::build {

struct OutputPlan {
  enum class Kind { kImage, kLocal, kTar } kind = Kind::kImage;
  std::string destination;
};
// Nothing for "". Throws.
std::optional<OutputPlan> parse_output(const std::string& text);
void write_output(const OutputPlan& plan, const Workshop& workshop, const StageResult& result);

}  // namespace jigsaw::build
