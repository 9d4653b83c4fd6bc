// The file this program was executed from, and the other programs of ours that are installed with it.
#pragma once

#include <string>
#include <string_view>

namespace jigsaw::process {

// Its path: what /proc/self/exe says, unless the program moved away from its file (runtime/own_binary.h) and remembers.
std::string own_path();
void remember_own_path(std::string path);
bool has_left_own_path();

// The path of another program of ours: beside this one, or in ../libexec/jigsaw. Throws if it is not installed.
std::string companion(std::string_view name);

}  // namespace jigsaw::process
