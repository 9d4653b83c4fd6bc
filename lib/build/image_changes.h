// What each instruction writes into the image's config and history: with the words that BuildKit uses, so that
// `docker history` of the same Dockerfile reads the same.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "build/evaluate.h"
#include "build/instructions.h"
#include "image/config.h"

namespace jigsaw::build {

// The config that FROM scratch begins with.
image::ImageConfig empty_config(const Platform& platform);

// What a stage has said so far, beyond the config itself.
struct StageMemory {
  bool cmd_set = false;  // ENTRYPOINT clears an inherited CMD, but not one of this stage
  // Where in the config's environment each name is; made anew where it doesn't cover that.
  std::unordered_map<std::string, size_t> variables;
  size_t variables_covered = 0;
};

// ENV, LABEL, CMD, USER …: the instructions that only change the config. Adds the history entry. WORKDIR changes the
// config here and makes its directory elsewhere; RUN, COPY and ADD are not for this function.
void apply_to_config(const Step& step, image::ImageConfig& config, StageMemory& memory);

// WORKDIR `path` seen from the current one.
std::string working_directory(const std::string& current, const std::string& path);

// "COPY --chown=1:1 a b /c # buildkit"
std::string copy_history(const Copy& copy);
// One entry; an instruction that makes a layer gives the time when it did.
void add_history(image::ImageConfig& config, std::string created_by, const std::string& created = "");
void add_empty_history(image::ImageConfig& config, std::string created_by);

// The times of entries without one: that of the layer before them, or of the first layer that follows; and the image's
// own: that of its last entry.
void settle_history(image::ImageConfig& config, size_t inherited, const std::string& now);

}  // namespace jigsaw::build
