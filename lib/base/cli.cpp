#include "base/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>

#include "base/cli_line.h"
#include "base/error.h"
#include "base/explain.h"
#include "base/log.h"
#include "base/text.h"

namespace jigsaw::cli {
namespace {

struct Command {
  std::function<int()> body;
  // Set for commands that run another program.
  std::vector<std::string>* rest = nullptr;
  std::string* first = nullptr;
  std::string first_name;
  Rest needs_rest = Rest::kRequired;
};

// Process-wide, as a command line is: what on_run() and take_command_line() stored for each subcommand.
std::map<const CLI::App*, Command>& commands() {
  static std::map<const CLI::App*, Command> stored;
  return stored;
}
std::string g_explain;
std::vector<std::string> g_command_line;

const Command* find_command(const CLI::App& app) {
  const auto stored = commands().find(&app);
  return stored == commands().end() ? nullptr : &stored->second;
}

bool takes_line(const CLI::App& app) {
  const Command* command = find_command(app);
  return command != nullptr && command->rest != nullptr;
}

// The usage line and the list of options, said more exactly than CLI11 can.
class Help : public CLI::Formatter {
  std::string make_usage(const CLI::App* app, std::string name) const override {
    if (!takes_line(*app)) {
      return CLI::Formatter::make_usage(app, name);
    }
    const Command& command = *find_command(*app);
    const std::string words = fmt::format("{}{}", command.first == nullptr ? "" : command.first_name + " ",
                                          command.needs_rest == Rest::kRequired ? "PROGRAM [ARG...]" : "[PROGRAM [ARG...]]");
    return fmt::format("Usage: {} [OPTIONS] {}\n", name, words);
  }
  // A positional is told by its name and its text alone.
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_positional() ? "" : CLI::Formatter::make_option_opts(option);
  }
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    const std::string name = CLI::Formatter::make_option_name(option, is_positional);
    return name.substr(0, name.find('{'));  // a flag's value if none is given: our help texts tell it
  }
};

bool starts_with_option(const std::vector<std::string>& words) { return !words.empty() && words.front().starts_with('-'); }

void take_words(const CLI::App& app, const Command& command, std::vector<std::string> words) {
  if (command.first != nullptr) {
    if (words.empty() || words.front().empty()) {
      throw misused(app, fmt::format("{} is missing", command.first_name));
    }
    *command.first = words.front();
    words.erase(words.begin());
    if (!words.empty() && words.front() == "--") {  // run IMAGE -- sh
      words.erase(words.begin());
    } else if (starts_with_option(words) && command.needs_rest == Rest::kRequired) {
      throw misused(app, fmt::format("{} is no program: options stand before {}", text::quoted(words.front()), command.first_name));
    }
  }
  if (words.empty() && command.needs_rest == Rest::kRequired) {
    throw misused(app, "the program to run is missing");
  }
  *command.rest = std::move(words);
}

// CLI11 takes its words with the last one first. Gives the exit code if the user only wanted to read something.
std::optional<int> parse(CLI::App& app, const Line& line) {
  try {
    app.parse(std::vector<std::string>(line.ours.rbegin(), line.ours.rend()));
    return std::nullopt;
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ExtrasError&) {
    const std::vector<std::string> rest = app.remaining(true);
    throw misused(*line.command, fmt::format("unexpected argument {}", text::quoted(rest.empty() ? "" : rest.front())));
  } catch (const CLI::ParseError& problem) {
    std::string what = problem.what();
    while (!what.empty() && (what.back() == '\n' || what.back() == '.')) {
      what.pop_back();
    }
    throw misused(*line.command, text::printable_line(what));
  }
}

void start_explaining() {
  if (g_explain.empty()) {
    return;
  }
  if (g_explain != "text" && g_explain != "json" && g_explain != "true") {
    throw fail("--explain is followed by =text or =json, not {}", text::quoted(g_explain));
  }
  explain::start(g_explain == "json" ? explain::Format::kJson : explain::Format::kText, STDERR_FILENO);
}

int parse_and_run(const Program& program, const std::function<void(CLI::App&)>& build) {
  commands().clear();
  CLI::App app(program.description, program.name);
  app.formatter(std::make_shared<Help>());
  app.set_help_flag("-h,--help", "show this and exit");
  app.set_version_flag("--version", fmt::format("{} {}", program.name, JIGSAW_VERSION), "show the version and exit");
  app.add_flag("--explain{text}", g_explain, "tell every action as it happens; --explain=json for programs");
  app.require_subcommand(0, 1);
  build(app);

  Line line = take_apart(app, {g_command_line.begin() + 1, g_command_line.end()}, takes_line);
  const bool asks = std::any_of(line.ours.begin(), line.ours.end(), [](const std::string& word) {
    return word == "--help" || word == "-h" || word == "--version";
  });
  const Command* command = find_command(*line.command);
  if (command == nullptr && !asks) {
    throw misused(*line.command, "a command is missing");
  }
  if (const auto code = parse(app, line)) {
    return *code;
  }
  if (takes_line(*line.command)) {
    take_words(*line.command, *command, std::move(line.theirs));
  }
  start_explaining();
  try {
    return program.around ? program.around(command->body) : command->body();
  } catch (Error& error) {
    if (error.code() == kExitNotFound && command->first != nullptr && starts_with_option(*command->rest)) {
      throw std::move(error).with_hint(fmt::format("options stand before {}", command->first_name));
    }
    throw;
  }
}

// A standard stream that is closed would be the number of the next file that we open, and what we print would go into it.
// Its place is taken by one that can't be used in its direction: the program sees EBADF, as before.
void fill_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0) {
      ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // NOLINT: the lowest free number is this one
    }
  }
}

// What was printed has arrived, or throws; false if nobody reads it any more (`ps | head -1`).
bool finish_output() {
  errno = 0;
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good()) {
    return true;
  }
  if (errno != EPIPE) {
    throw system_error(errno != 0 ? errno : EIO, "write standard output");
  }
  return false;
}

// For errors that anything can end in, at any place.
std::string usual_hint(int number) {
  switch (number) {
    case EMFILE:
      return "this process may open no more files: 'ulimit -n' says and sets how many";
    case ENOSPC:
    case EDQUOT:
      return "'df' and 'df -i' show which disk is full";
    case EFBIG:
      return "'ulimit -f' says how large a file may grow";
    default:
      return "";
  }
}

// What is wrong is often told in the words of an image: they must not move the cursor or recolour the screen.
void print_error(const std::string& program, std::string_view what, std::string_view hint) {
  std::string message = fmt::format("{}: error: {}\n", program, text::printable_lines(what));
  if (!hint.empty()) {
    message += fmt::format("  hint: {}\n", text::printable_lines(hint));
  }
  std::fputs(message.c_str(), stderr);
}

}  // namespace

const std::vector<std::string>& command_line() { return g_command_line; }

std::vector<std::string> known_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        names.push_back("--" + name);
      }
      for (const std::string& name : option->get_snames()) {
        names.push_back("-" + name);
      }
    }
  }
  return names;
}

void add_commands(CLI::App& app, std::span<const NamedCommand> table) {
  const auto is_named = [](const NamedCommand& command) {
    return std::find(g_command_line.begin(), g_command_line.end(), command.name) != g_command_line.end();
  };
  const bool any = std::any_of(table.begin(), table.end(), is_named);
  for (const NamedCommand& command : table) {
    if (!any || is_named(command)) {
      command.add(app);
    }
  }
}

bool asks_for_more(const CLI::App& app) {
  const std::vector<std::string> known = known_options(app);
  return std::any_of(g_command_line.begin(), g_command_line.end(), [&](const std::string& word) {
    const bool is_known = std::find(known.begin(), known.end(), word.substr(0, word.find('='))) != known.end();
    return word == "help" || word == "--help" || word == "-h" || (word.starts_with('-') && !is_known);
  });
}

void on_run(CLI::App& command, std::function<int()> body) { commands()[&command].body = std::move(body); }

void take_command_line(CLI::App& command, std::string& first, std::vector<std::string>& rest,
                       const std::string& first_name, const std::string& first_help, Rest needs_rest) {
  command.add_option(first_name, first, first_help);
  command.footer(fmt::format("Words after {} belong to the program that is run.", first_name));
  Command& stored = commands()[&command];
  stored.first = &first;
  stored.first_name = first_name;
  stored.rest = &rest;
  stored.needs_rest = needs_rest;
}

void take_command_line(CLI::App& command, std::vector<std::string>& words) {
  command.footer("The first word that is no option is the program to run, the others are its arguments.");
  commands()[&command].rest = &words;
}

std::string refuse_empty(const std::string& value) { return value.empty() ? "its value is empty" : ""; }

void add_records(CLI::App& app, std::string& run_root, const journal::Kinds& kinds) {
  app.add_option("--run-root", run_root, "where runs record what they made (default /run/jigsaw, rootless $XDG_RUNTIME_DIR/jigsaw)")
      ->check(refuse_empty);
  on_run(*app.add_subcommand("undo", "remove what killed runs left behind"), [&run_root, kinds] {
    fmt::print("{}", journal::report(journal::sweep(journal::directory_for(run_root), kinds)));
    return 0;
  });
}

int report_errors(const std::string& program, const std::function<int()>& body) {
  try {
    return body();
  } catch (const Error& error) {
    print_error(program, error.message(), error.hint().empty() ? usual_hint(error.error_number()) : error.hint());
    return error.code();
  } catch (const std::filesystem::filesystem_error& problem) {
    std::error_code gone;
    const bool placeless = std::filesystem::current_path(gone).empty();
    print_error(program, fmt::format("{}: {}", text::quoted(problem.path1().string()), errno_text(problem.code().value())),
                placeless ? "the working directory does not exist any more: change to another one" : "");
    return kExitFailure;
  } catch (const std::exception& problem) {
    print_error(program, problem.what(), "");
    return kExitFailure;
  }
}

int run_main(int argc, char** argv, const Program& program, const std::function<void(CLI::App&)>& build) {
  // A reader that goes away, a file that may not grow: an errno of that write, not our death.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  fill_standard_descriptors();
  log::set_sink(log::to_terminal(program.name, STDERR_FILENO));
  g_command_line.assign(argv, argv + argc);
  return report_errors(program.name, [&] {
    const int code = parse_and_run(program, build);
    return finish_output() ? code : 128 + SIGPIPE;
  });
}

}  // namespace jigsaw::cli
