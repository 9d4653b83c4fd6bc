// jigsaw-oci: an OCI runtime for podman, Docker, containerd and Kubernetes, on the same lib/runtime that teaches.

#include "base/cli.h"
#include "oci/commands.h"
#include "runtime/own_binary.h"

using namespace jigsaw;

namespace {

constexpr cli::NamedCommand kCommands[] = {
    {"create", oci::add_create},
    {"run", oci::add_run},
    {"exec", oci::add_exec},
    {"start", oci::add_start},
    {"kill", oci::add_kill},
    {"delete", oci::add_delete},
    {"pause", oci::add_pause},
    {"resume", oci::add_resume},
    {"update", oci::add_update},
    {"state", oci::add_state},
    {"list", oci::add_list},
    {"ps", oci::add_ps},
    {"events", oci::add_events},
    {"features", oci::add_features},
    {"spec", oci::add_spec},
    {"checkpoint", [](CLI::App& app) { oci::add_refused(app, "checkpoint"); }},
    {"restore", [](CLI::App& app) { oci::add_refused(app, "restore"); }},
};

}  // namespace

int main(int argc, char** argv) {
  const cli::Program program{"jigsaw-oci", "run containers as the OCI runtime specification describes them"};
  const int failed = cli::report_errors(program.name, [argc, argv] {
    runtime::leave_own_binary(argc, argv);
    return 0;
  });
  if (failed != 0) {
    return failed;
  }
  return cli::run_main(argc, argv, program, [](CLI::App& app) {
    oci::add_root(app);
    cli::add_commands(app, kCommands);
    oci::add_other_globals(app);
  });
}
