#include "commands/rootless.h"

#include <cstdio>

#include "base/cli.h"
#include "commands/settings.h"
#include "namespaces/id_maps.h"
#include "namespaces/sets.h"
#include "process/signals.h"
#include "process/spawn.h"

namespace jigsaw::commands {

int as_root_of_a_namespace(const std::function<int()>& body) {
  settle_paths();  // before we seem to be root
  if (!engine::is_rootless()) {
    return body();
  }
  const process::SignalGuard guard;
  process::Child child = process::spawn(
      {.namespaces = namespaces::parse("user,mnt"),
       .why = "without root: in a user namespace of our own we may mount, and own more than one user id"},
      [&](process::Gate&) {
        process::restore_signals();
        const int code = cli::report_errors("jigsaw", body);
        std::fflush(nullptr);  // the child of a clone ends without the C library's clean-up
        return code;
      });
  namespaces::write_id_maps(child.pid(), namespaces::rootless_maps());
  child.release();
  return process::supervise(child).exit_code();
}

}  // namespace jigsaw::commands
