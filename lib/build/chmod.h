// --chmod of COPY and ADD: an octal mode, or changes as chmod(1) takes them ("u+rwX,go-w").
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::build {

class ModeChange {
 public:
  // Throws an Error that says what is wrong.
  static ModeChange parse(std::string_view text);
  // The permission bits (07777) for a file whose st_mode is `mode`. X counts for directories and executables.
  mode_t apply(mode_t mode) const;
  // The mode, if it was written as a number: directories made on the way to a destination get it too.
  std::optional<mode_t> absolute() const { return absolute_; }

 private:
  struct Clause {
    mode_t who = 0;  // mask of the bits it is about
    char action = '=';
    mode_t bits = 0;        // rwx and s, t for all; masked by `who`
    bool execute_if = false;  // X
    char copy_from = 0;       // u, g or o
  };
  std::optional<mode_t> absolute_;
  std::vector<Clause> clauses_;
};

}  // namespace jigsaw::build
