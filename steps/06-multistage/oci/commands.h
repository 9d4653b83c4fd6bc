// The commands of jigsaw-oci: the command line that podman, containerd and Docker speak to an OCI runtime.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "runtime/container.h"

namespace jigsaw::oci {

// The options before the command.
struct Globals {
  std::string root;
  std::string log;                  // a file; "": stderr
  std::string log_format = "text";  // or "json"
  std::string log_level = "warning";
  bool debug = false;             // --log-level debug
  bool systemd_cgroup = false;
  std::string cgroup_manager;
  std::string rootless;
};
Globals& globals();
void add_root(CLI::App& app);
// Those but --root, if one is asked for. Call when the commands have been added, which may know it.
void add_other_globals(CLI::App& app);
// The directory of the states: --root, or the default of root and other users.
std::string state_root();

// Stores what a command does; its errors go to the log file too, where containerd's shim looks for them.
void on_run(CLI::App& command, std::function<int()> body);
// A required positional ID.
void add_id(CLI::App& command, std::string& id);

void add_create(CLI::App& app);
void add_run(CLI::App& app);
void add_start(CLI::App& app);
void add_kill(CLI::App& app);
void add_delete(CLI::App& app);
void add_pause(CLI::App& app);
void add_resume(CLI::App& app);
void add_update(CLI::App& app);
void add_exec(CLI::App& app);
void add_state(CLI::App& app);
void add_list(CLI::App& app);
void add_ps(CLI::App& app);
void add_events(CLI::App& app);
void add_features(CLI::App& app);
void add_spec(CLI::App& app);
void add_refused(CLI::App& app, const char* name);

}  // namespace jigsaw::oci
