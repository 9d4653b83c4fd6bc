// jigsaw-oci: an OCI runtime for podman, Docker, containerd and Kubernetes, on the same lib/runtime that teaches.
#include "base/cli.h"
#include "oci/commands.h"
#include "runtime/own_binary.h"

using namespace jigsaw;

int main(int argc, char** argv) {
  const cli::Program program{"jigsaw-oci", "run containers as the OCI runtime specification describes them"};
  return cli::run_main(argc, argv, program, [argv](CLI::App& app) {
    runtime::leave_own_binary(argv);
    oci::add_globals(app);
    oci::add_create(app);
    oci::add_run(app);
    oci::add_start(app);
    oci::add_kill(app);
    oci::add_delete(app);
    oci::add_pause(app);
    oci::add_resume(app);
    oci::add_update(app);
    oci::add_exec(app);
    oci::add_state(app);
    oci::add_list(app);
    oci::add_ps(app);
    oci::add_events(app);
    oci::add_features(app);
    oci::add_spec(app);
    oci::add_refused(app);
  });
}
