// The words of `jigsaw build`, as the user wrote them, and the command they make.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "build/builder.h"

namespace jigsaw::build {

struct BuildArguments {
  engine::Paths paths;
  std::string context = ".", dockerfile, target, platform, network = "default", output, iidfile, progress = "auto", on_error;
  std::vector<std::string> tags, arguments, named_contexts, labels, secrets, ssh, uncached_stages, graph,
      cache_from, cache_to;
  engine::RunOptions limits;
  std::string shm_size;
  std::vector<std::string> hosts, annotations;
  std::string cgroup_parent, metadata_file, call;
  std::vector<std::pair<std::string, std::string>> docker_flags;  // see docker_flags.h
  bool no_cache = false, pull = false, check = false, explain_cache = false, quiet = false, push = false;
};

// NAME=VALUE lists into maps, checked. Throws.
BuildOptions parse_arguments(const BuildArguments& words);

// Builds, checks or draws; progress goes to standard error, the image's ID to standard output. Gives the exit code.
int run_build_command(const BuildArguments& words);

}  // namespace jigsaw::build
