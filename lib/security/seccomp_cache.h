// Compiled filters in files: a cache by the rules that they were compiled from, since compiling takes longer than making a
// container, and one file for each container (save(), load_saved() in seccomp.h).
#pragma once

#include <optional>
#include <string>

#include "security/seccomp.h"

namespace jigsaw::security {

// All that decides what is compiled, as one text.
std::string rules_text(const Seccomp& seccomp, const SeccompProgram& flags);
// The program for these rules, if the directory ("": there is none) has it.
std::optional<SeccompProgram> take_cached(const std::string& directory, const std::string& rules);
// Keeps it there, and notes in it where.
void keep_cached(SeccompProgram& program, const std::string& directory, const std::string& rules);

}  // namespace jigsaw::security
