// A command line, taken apart before CLI11 sees it. CLI11 can't tell where the words of another program begin
// ("run --rm IMAGE sh -c x" has options of ours, then words that only look like options), and knows a program's own
// options in front of the command only. Internal to cli.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/error.h"

namespace jigsaw::cli {

struct Line {
  std::vector<std::string> ours;    // for CLI11: each option behind the command that knows it
  std::vector<std::string> theirs;  // from the first plain word on, of a command that runs another program
  CLI::App* command = nullptr;      // the innermost that is named
};

// Takes `words` (without the program's name) apart; `takes_line` says which commands run another program.
// Throws for words that no command knows.
Line take_apart(CLI::App& app, const std::vector<std::string>& words, bool (*takes_line)(const CLI::App&));

// "jigsaw system prune".
std::string invocation(const CLI::App& app);
// "<what>", with the hint to look at --help.
Error misused(const CLI::App& app, const std::string& what);

}  // namespace jigsaw::cli
