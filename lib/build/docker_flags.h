// The flags of docker build that ask for nothing a builder without a daemon would do otherwise, or for something that it
// doesn't do: the former are taken, the latter refused with the reason, so that a script made for docker either works or
// says why not.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace jigsaw::build {

struct DockerFlag {
  enum class Value { kNone, kText };
  const char* name;  // "--provenance"
  Value value;
  // Values that ask for what is so anyway, between blanks; "*" for all.
  const char* harmless;
  const char* reason;  // why anything else is refused
  const char* hint;
};
std::span<const DockerFlag> docker_flags();

// Throws for the first that can't be honoured. Each is a flag of the table with the value it was given.
void check_docker_flags(const std::vector<std::pair<std::string, std::string>>& given);

}  // namespace jigsaw::build
