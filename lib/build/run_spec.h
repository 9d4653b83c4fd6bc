// The container that a RUN runs in: docker's default power and no more.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "build/instructions.h"
#include "build/tree.h"
#include "runtime/spec.h"

namespace jigsaw::build {

struct RunPlan {
  std::vector<std::string> words;
  std::vector<std::string> environment;  // "NAME=value"
  std::string directory;
  std::string user;  // as USER has it
  Run::Network network = Run::Network::kDefault;
  std::string default_network = "default";
  std::string hostname;  // "" is the usual one
  std::vector<std::pair<std::string, std::string>> hosts;  // name and address, besides localhost
};

// `image` is the file system that the RUN starts on: users are looked up there. `shared` is a directory for the
// files that are mounted into every RUN of the build (hosts, resolv.conf).
runtime::Spec run_spec(const RunPlan& plan, Tree& image, const std::string& shared);

}  // namespace jigsaw::build
