// jigsaw-oci: an OCI runtime for podman, Docker, containerd and Kubernetes, on the same lib/runtime that teaches.
//
// A table of commands. Only the one that was asked for is built: describing all of them takes longer than making a
// container.
#include <algorithm>
#include <string_view>

#include "base/cli.h"
#include "oci/commands.h"
#include "runtime/own_binary.h"

using namespace jigsaw;

namespace {

struct Command {
  std::string_view name;
  void (*add)(CLI::App&);
  bool enters_containers = false;
};

constexpr Command kCommands[] = {
    {"create", oci::add_create, true}, {"run", oci::add_run, true},   {"exec", oci::add_exec, true},
    {"start", oci::add_start},         {"kill", oci::add_kill},       {"delete", oci::add_delete},
    {"pause", oci::add_pause},         {"resume", oci::add_resume},   {"update", oci::add_update},
    {"state", oci::add_state},         {"list", oci::add_list},       {"ps", oci::add_ps},
    {"events", oci::add_events},       {"features", oci::add_features}, {"spec", oci::add_spec},
};

// Whether the command's name is among the words: a value of an option may look like one too, then both are built.
bool is_named(const Command& command, int argc, char** argv) {
  return std::find(argv + 1, argv + argc, command.name) != argv + argc;
}

}  // namespace

int main(int argc, char** argv) {
  const cli::Program program{"jigsaw-oci", "run containers as the OCI runtime specification describes them"};
  return cli::run_main(argc, argv, program, [argc, argv](CLI::App& app) {
    const auto named = [&](const Command& command) { return is_named(command, argc, argv); };
    const bool any = std::any_of(std::begin(kCommands), std::end(kCommands), named);
    if (std::any_of(std::begin(kCommands), std::end(kCommands), [&](const Command& c) { return c.enters_containers && named(c); })) {
      runtime::leave_own_binary(argv);
    }
    oci::add_globals(app);
    for (const Command& command : kCommands) {
      if (!any || named(command)) {
        command.add(app);
      }
    }
    if (!any) {
      oci::add_refused(app);
    }
  });
}
