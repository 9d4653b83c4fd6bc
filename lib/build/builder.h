// The builder: from a Dockerfile and a context to an image in the store.
//
//     context, Dockerfile ──> recipe ──> plan (stages, order)          language: dockerfile.h … evaluate.h
//     plan ──> for each stage that is needed, step by step:
//                  key of the step ──> in the cache?  its layer         cache.h
//                                 └──> no: make it  ──> layer, blob     copy.h, run.h
//     last layer list + config ──> manifest ──> tag
//
// First all stages go as far as the cache carries them, in this process, without a mount or a child. If then one stage
// has work to do it goes on here; if several have that do not wait for each other, each gets a process of its own.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "build/cache_image.h"
#include "build/events.h"
#include "build/stages.h"
#include "engine/paths.h"
#include "engine/plan.h"
#include "image/digest.h"

namespace jigsaw::build {

struct Secret {
  std::string file;         // where its bytes are
  std::string environment;  // or the variable of ours that holds them
};

struct BuildOptions {
  engine::Paths paths;
  std::string context = ".";  // a directory, "-", or an address
  std::string dockerfile;     // -f; "" is <context>/Dockerfile, "-" standard input
  std::string target;
  std::map<std::string, std::string> arguments;       // --build-arg
  std::map<std::string, std::string> named_contexts;  // --build-context name=place
  std::map<std::string, std::string> labels;
  std::map<std::string, Secret> secrets;
  std::map<std::string, std::string> ssh;  // id -> socket
  std::vector<std::string> tags;
  std::optional<Platform> platform;
  std::string network = "default";  // of RUN: default, none, host
  std::string output;               // type=local|tar,dest=…
  std::string iidfile;
  std::vector<CachePlace> cache_from, cache_to;
  bool use_cache = true;
  std::vector<std::string> uncached_stages;  // --no-cache-filter
  engine::RunOptions limits;  // of RUN: its `limits` and `ulimits` alone
  std::string shm_size;       // of /dev/shm in RUN; "" is the usual one
  std::string cgroup_parent;  // where the cgroups of RUNs are made; "" is the usual place
  std::vector<std::pair<std::string, std::string>> hosts;  // name and address, for /etc/hosts in RUN
  std::map<std::string, std::string> annotations;          // of the manifest
  std::string metadata_file;                               // digests and names as JSON, for programs
  bool push = false;                                       // the tags, to their registries
  bool pull = false;
  bool explain_cache = false;
  bool shell_on_error = false;
  EventSink* events = nullptr;
};

// An argument that the reference gives a meaning to, such as BUILDKIT_SANDBOX_HOSTNAME, as --build-arg has it; or "".
std::string built_in_argument(const BuildOptions& options, const std::string& name);

struct BuildResult {
  std::optional<image::Digest> image;  // digest of the config: the image's ID; nothing with --output alone
  std::optional<image::Digest> manifest;
  size_t steps = 0;
  size_t cached = 0;
  std::vector<std::string> warnings;  // of the build checks, as lines
};

// Throws an Error with the place in the Dockerfile; the code is that of the RUN that failed, if one did.
BuildResult build(const BuildOptions& options);

}  // namespace jigsaw::build
