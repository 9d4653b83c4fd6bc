// What this runtime can do, as `features` prints it (runtime-spec, features.md), and a config.json to start from.
#pragma once

#include <string>

namespace jigsaw::runtime {

std::string features_json();
enum class Privilege { kRoot, kRootless };
std::string example_config(Privilege privilege);

}  // namespace jigsaw::runtime
