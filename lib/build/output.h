// --output: the result somewhere else than in the store alone.
//
//     type=local,dest=DIR    the files of the target stage, as a directory
//     type=tar,dest=FILE     the same as one tar archive; "-" is standard output
//     type=oci,dest=FILE     the image as an OCI archive, with tar=false as an OCI layout in a directory
//     type=docker,dest=FILE  the image as docker load takes it; without dest= it only goes into the store
//     type=image             nothing but the store: name=NAME gives it one, push=true pushes it (type=registry is short)
//     DIR, or -              short for type=local, type=tar
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "build/stage_runner.h"

namespace jigsaw::build {

struct OutputPlan {
  enum class Kind { kImage, kLocal, kTar, kOci, kOciDirectory, kDocker } kind = Kind::kImage;
  std::string destination;
  std::vector<std::string> names;  // besides those of -t
  std::map<std::string, std::string> annotations;
  bool push = false;
};
// Nothing for "". Throws.
std::optional<OutputPlan> parse_output(const std::string& text);
// The files of the target stage (kLocal, kTar).
void write_output(const OutputPlan& plan, const Workshop& workshop, const StageResult& result);

// The image `id` of the store (kOci, kOciDirectory, kDocker).
void write_archive(const OutputPlan& plan, const engine::Paths& paths, const std::string& id);

}  // namespace jigsaw::build
