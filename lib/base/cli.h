// What every executable of this project does the same way: CLI11 set up for programs that run other programs, one
// form of error message, one set of exit codes, --explain, and "did you mean".
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/journal.h"

namespace CLI {
class App;
}

namespace jigsaw::cli {

struct Program {
  std::string name;         // "jigsaw"
  std::string description;  // one line
  // Called with the body of the chosen command, to prepare the process for it; returns its exit code.
  std::function<int(const std::function<int()>& body)> around = nullptr;
};

// The body of a main(): sets up the options shared by all programs (--explain[=json], --version, --help), lets `build`
// add the program's own, parses the command line, and calls what the chosen subcommand stored with on_run(). Options of the
// program may stand before and after the command; "help COMMAND" is "COMMAND --help".
// Returns the exit code: the body's own, or that of the Error that ended it, printed as
//   <program>: error: <what>
//     hint: <how to mend it>
int run_main(int argc, char** argv, const Program& program, const std::function<void(CLI::App&)>& build);

// Calls `body` and prints the Error that ends it, if one does: run_main() for a process that has begun already.
int report_errors(const std::string& program, const std::function<int()>& body);

// A program's table of commands. Describing all of them to CLI11 takes longer than making a container, so only those are
// added whose names are among the words the program was started with: the chosen one, and rarely another whose name is
// also an argument. If none is, all are, for --help and did-you-mean.
struct NamedCommand {
  std::string_view name;
  void (*add)(CLI::App& app);
};
void add_commands(CLI::App& app, std::span<const NamedCommand> table);

// Whether the words this program was started with ask for an option that `app` does not know so far, or for help. Options that
// nobody asks for need not be described either.
bool asks_for_more(const CLI::App& app);

// Stores what a subcommand does. `body` returns the exit code.
void on_run(CLI::App& command, std::function<int()> body);

// A command that takes a fixed first word and then any further words untouched, even ones that look like flags:
//   run [options] IMAGE [--] [PROGRAM ARG...]
// `first` is filled with the first word (required), `rest` with the others.
enum class Rest { kOptional, kRequired };
void take_command_line(CLI::App& command, std::string& first, std::vector<std::string>& rest,
                       const std::string& first_name, const std::string& first_help, Rest needs_rest = Rest::kOptional);
// The same where the first word is itself the program: run [options] PROGRAM [ARG...]
void take_command_line(CLI::App& command, std::vector<std::string>& words);

// For CLI::Option::check(), where "" would mean the default: an unset variable of a script must not be taken for that.
std::string refuse_empty(const std::string& value);

// --run-root, which fills `run_root`, and `undo`, which carries out the records of dead runs that are kept there.
void add_records(CLI::App& app, std::string& run_root, const journal::Kinds& kinds);

// The words this program was started with.
const std::vector<std::string>& command_line();

// The options CLI11 knows below `app`, as "--name" and "-n": for did-you-mean.
std::vector<std::string> known_options(const CLI::App& app);

}  // namespace jigsaw::cli
