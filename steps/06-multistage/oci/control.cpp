#include "base/error.h"
#include "base/flags.h"
#include "oci/commands.h"

namespace jigsaw::oci {

void add_start(CLI::App& app) {
  CLI::App* command = app.add_subcommand("start", "run the program of a created container");
  static std::string id;
  add_id(*command, id);
  on_run(*command, [] { return runtime::start(state_root(), id), 0; });
}

void add_kill(CLI::App& app) {
  CLI::App* command = app.add_subcommand("kill", "send a signal to a container");
  static std::string id;
  static std::string signal = "TERM";
  static bool all = false;
  command->add_flag("-a,--all", all, "to all its processes");
  add_id(*command, id);
  command->add_option("SIGNAL", signal, "TERM, SIGTERM or 15");
  on_run(*command, [] {
    runtime::kill(state_root(), id, signal == "0" ? 0 : flags::parse_signal(signal), all ? runtime::Reach::kAll : runtime::Reach::kInit);
    return 0;
  });
}

void add_delete(CLI::App& app) {
  CLI::App* command = app.add_subcommand("delete", "remove a stopped container");
  static std::string id;
  static bool force = false;
  command->add_flag("-f,--force", force, "kill it first if it runs; no error if there is none");
  add_id(*command, id);
  on_run(*command, [] {
    runtime::remove(state_root(), id, force ? runtime::Force::kYes : runtime::Force::kNo);
    return 0;
  });
}

void add_pause(CLI::App& app) {
  CLI::App* command = app.add_subcommand("pause", "stop all processes of a container where they are");
  static std::string id;
  add_id(*command, id);
  on_run(*command, [] { return runtime::pause(state_root(), id), 0; });
}

void add_resume(CLI::App& app) {
  CLI::App* command = app.add_subcommand("resume", "let a paused container go on");
  static std::string id;
  add_id(*command, id);
  on_run(*command, [] { return runtime::resume(state_root(), id), 0; });
}

void add_refused(CLI::App& app, const char* name) {
  CLI::App* command = app.add_subcommand(name, "not possible with this runtime");
  command->allow_extras();
  on_run(*command, [name]() -> int {
    throw Error(fmt::format("{} is not possible: this runtime has no part that saves running processes (CRIU)", name));
  });
}

}  // namespace jigsaw::oci
