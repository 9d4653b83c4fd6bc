#include <algorithm>

#include "base/cli.h"
#include "base/error.h"
#include "base/log.h"
#include "oci/commands.h"
#include "runtime/log_file.h"

namespace jigsaw::oci {

Globals& globals() {
  static Globals stored;
  return stored;
}

std::string state_root() { return globals().root.empty() ? runtime::default_state_root() : globals().root; }

void add_root(CLI::App& app) { app.add_option("--root", globals().root, "directory of the states of containers"); }

void add_other_globals(CLI::App& app) {
  const auto commands = app.get_subcommands({});
  if (std::none_of(commands.begin(), commands.end(), [](const CLI::App* command) { return cli::asks_for_more(*command); })) {
    return;
  }
  Globals& g = globals();
  app.add_option("--log", g.log, "file that warnings and errors are appended to");
  app.add_option("--log-format", g.log_format, "form of the log: text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--log-level", g.log_level, "what is logged: error, warning or debug")->check(CLI::IsMember({"error", "warning", "debug"}));
  app.add_flag("--debug", g.debug, "log more");
  app.add_flag("--systemd-cgroup", g.systemd_cgroup, "cgroups are scopes of systemd");
  app.add_option("--cgroup-manager", g.cgroup_manager, "cgroupfs or systemd")
      ->check(CLI::IsMember({"cgroupfs", "systemd", "disabled"}));
  app.add_option("--rootless", g.rootless, "found out without it");
}

namespace {

log::Level least_level(const Globals& g) {
  return g.debug || g.log_level == "debug" ? log::Level::kDebug : g.log_level == "error" ? log::Level::kError : log::Level::kWarning;
}

}  // namespace

void on_run(CLI::App& command, std::function<int()> body) {
  cli::on_run(command, [body = std::move(body)] {
    const Globals& g = globals();
    if (!g.log.empty()) {
      log::set_sink(runtime::log_to_file(g.log, g.log_format == "json" ? runtime::LogFormat::kJson : runtime::LogFormat::kText,
                                         least_level(g)));
    }
    try {
      return body();
    } catch (const Error& error) {
      if (!g.log.empty()) {
        log::write(log::Level::kError, error.message());
      }
      throw;
    }
  });
}

void add_id(CLI::App& command, std::string& id) { command.add_option("ID", id, "the container")->required(); }

}  // namespace jigsaw::oci
