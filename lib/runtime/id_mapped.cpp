#include "runtime/id_mapped.h"

#include <fcntl.h>
#include <sched.h>

#include <fmt/format.h>

#include "base/files.h"
#include "namespaces/id_maps.h"
#include "process/spawn.h"

namespace jigsaw::runtime {
namespace {

Fd make_user_namespace(const namespaces::IdMaps& maps) {
  // The child waits at its gate and is killed there: it only lends its namespace.
  process::Child child = process::spawn({.namespaces = CLONE_NEWUSER, .why = "a user namespace that is only a map of ids"},
                                        [](process::Gate&) { return 0; });
  namespaces::write_id_maps(child.pid(), maps);
  return files::open(fmt::format("/proc/{}/ns/user", child.pid()), O_RDONLY);
}

}  // namespace

std::vector<Fd> make_mount_maps(const Spec& spec) {
  std::vector<Fd> maps(spec.mounts.size());
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    if (!spec.mounts[i].id_maps.uids.empty()) {
      maps[i] = make_user_namespace(spec.mounts[i].id_maps);
    }
  }
  return maps;
}

}  // namespace jigsaw::runtime
