#include "base/cli.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>

#include "base/error.h"
#include "base/explain.h"
#include "base/log.h"
#include "base/text.h"

namespace jigsaw::cli {
namespace {

struct Command {
  std::function<int()> body;
  // Set for commands whose words after the first positional belong to another program.
  std::vector<std::string>* rest = nullptr;
  std::string* first = nullptr;
  std::string first_name;
};

// Process-wide, as a command line is: what on_run() and take_command_line() stored for each subcommand.
std::map<const CLI::App*, Command>& commands() {
  static std::map<const CLI::App*, Command> stored;
  return stored;
}
std::string g_explain;
std::vector<std::string> g_command_line;

void add_explain(CLI::App& app) {
  app.add_flag("--explain{text}", g_explain, "tell every action as it happens; --explain=json for programs");
}

std::vector<std::string> known_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

CLI::App* chosen(CLI::App* app) {
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
  }
  return app;
}

std::string invocation(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : invocation(*app.get_parent()) + " " + app.get_name();
}

// What CLI11 did not take, as one of our messages.
Error unexpected(CLI::App& app, const std::string& word) {
  const std::string hint = fmt::format("see '{} --help'", invocation(app));
  if (word.size() > 1 && word.front() == '-') {
    const std::string flag = word.substr(0, word.find('='));
    return Error(fmt::format("unknown flag {}{}", text::quoted(flag), text::did_you_mean(flag, known_options(app))), hint);
  }
  const std::vector<std::string> names = known_commands(app);
  if (!names.empty()) {
    return Error(fmt::format("unknown command {}{}", text::quoted(word), text::did_you_mean(word, names)), hint);
  }
  return Error(fmt::format("unexpected argument {}", text::quoted(word)), hint);
}

// CLI11 goes on looking for the first word behind a flag that it does not know: --memroy 64m IMAGE.
bool stands_before(const std::vector<std::string>& line, const std::string& word, const std::string& other) {
  return std::find(line.begin(), line.end(), word) < std::find(line.begin(), line.end(), other);
}

void take_rest(CLI::App& app, Command& command, const std::vector<std::string>& line) {
  std::vector<std::string> words = app.remaining();
  const bool has_first = command.first != nullptr && !command.first->empty();
  if (!words.empty() && words.front() == "--") {
    words.erase(words.begin());
  } else if (!words.empty() && words.front().starts_with('-') &&
             (!has_first || stands_before(line, words.front(), *command.first))) {
    throw unexpected(app, words.front());
  }
  if (command.first == nullptr) {
    *command.rest = std::move(words);
    if (command.rest->empty()) {
      throw Error(fmt::format("{} is missing", command.first_name), fmt::format("see '{} --help'", invocation(app)));
    }
    return;
  }
  if (command.first->empty()) {
    if (words.empty()) {
      throw Error(fmt::format("{} is missing", command.first_name), fmt::format("see '{} --help'", invocation(app)));
    }
    *command.first = words.front();
    words.erase(words.begin());
  }
  *command.rest = std::move(words);
}

int parse_and_run(int argc, char** argv, const Program& program, const std::function<void(CLI::App&)>& build) {
  CLI::App app(program.description, program.name);
  app.set_version_flag("--version", fmt::format("{} {}", program.name, JIGSAW_VERSION));
  add_explain(app);
  app.require_subcommand(0, 1);
  build(app);
  for (auto& [command, stored] : commands()) {
    if (command != &app) {
      add_explain(*const_cast<CLI::App*>(command));
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ExtrasError&) {
    CLI::App* at = chosen(&app);
    const std::vector<std::string> rest = app.remaining(true);
    throw unexpected(rest.size() > at->remaining().size() && at->remaining().empty() ? app : *at,
                     rest.empty() ? "" : rest.front());
  } catch (const CLI::ParseError& problem) {
    std::string what = problem.what();
    while (!what.empty() && (what.back() == '\n' || what.back() == '.')) {
      what.pop_back();
    }
    throw Error(text::printable_line(what), fmt::format("see '{} --help'", invocation(*chosen(&app))));
  }
  CLI::App* command = chosen(&app);
  const auto stored = commands().find(command);
  if (stored == commands().end()) {
    throw Error("a command is missing", fmt::format("see '{} --help'", invocation(*command)));
  }
  if (stored->second.rest != nullptr) {
    take_rest(*command, stored->second, std::vector<std::string>(argv, argv + argc));
  }
  if (!g_explain.empty()) {
    if (g_explain != "text" && g_explain != "json" && g_explain != "true") {
      throw fail("--explain is followed by =text or =json, not {}", text::quoted(g_explain));
    }
    explain::start(g_explain == "json" ? explain::Format::kJson : explain::Format::kText, STDERR_FILENO);
  }
  return program.around ? program.around(stored->second.body) : stored->second.body();
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

void on_run(CLI::App& command, std::function<int()> body) { commands()[&command].body = std::move(body); }

void take_command_line(CLI::App& command, std::string& first, std::vector<std::string>& rest,
                       const std::string& first_name, const std::string& first_help) {
  command.add_option(first_name, first, first_help);
  command.prefix_command();
  command.footer(fmt::format("Words after {} belong to the program that is run.", first_name));
  Command& stored = commands()[&command];
  stored.first = &first;
  stored.first_name = first_name;
  stored.rest = &rest;
}

void take_command_line(CLI::App& command, std::vector<std::string>& words) {
  command.prefix_command();
  command.footer("The first word that is no option is the program to run, the others are its arguments.");
  Command& stored = commands()[&command];
  stored.first_name = "the program to run";
  stored.rest = &words;
}

int report_errors(const std::string& program, const std::function<int()>& body) {
  try {
    return body();
  } catch (const Error& error) {
    std::string message = fmt::format("{}: error: {}\n", program, error.message());
    if (!error.hint().empty()) {
      message += fmt::format("  hint: {}\n", error.hint());
    }
    std::fputs(message.c_str(), stderr);
    return error.code();
  } catch (const std::exception& problem) {
    std::fputs(fmt::format("{}: error: {}\n", program, problem.what()).c_str(), stderr);
    return kExitFailure;
  }
}

int run_main(int argc, char** argv, const Program& program, const std::function<void(CLI::App&)>& build) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an EPIPE of that write, not our death
  log::set_sink(log::to_terminal(program.name, STDERR_FILENO));
  g_command_line.assign(argv, argv + argc);
  return report_errors(program.name, [&] { return parse_and_run(argc, argv, program, build); });
}

}  // namespace jigsaw::cli
