// Names for containers: two words where the user gives none, and what a user may give.
#pragma once

#include <string>

namespace jigsaw::engine {

// "calm_penguin". Not unique: create() tries until one is free.
std::string random_name();
// Throws unless the name is a letter or digit followed by letters, digits, '_', '.', '-' (as docker's).
void check_name(const std::string& name);

}  // namespace jigsaw::engine
