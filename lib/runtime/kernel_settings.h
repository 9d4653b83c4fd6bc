// What a namespace has of its own beside what is in it: names, clocks, sysctls, keys.
#pragma once

#include "runtime/container.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {

// In a new user namespace, once its maps are written: user and group 0 of it.
void become_root_of_user_namespace();
// A new time namespace with offsets: they must be written before anyone is in it.
void set_clocks(const Spec& spec);
void set_names(const Spec& spec);
// Through a procfs of our own, attached nowhere: the container's /proc may be a fake (CVE-2019-16884).
void write_sysctls(const Spec& spec);
// A session keyring that is not the caller's.
void new_keyring(const Surroundings& surroundings);
// Nobody who may look into us while we wait finds our caller's variables in /proc/PID/environ. From here on we have none.
void hide_environment();
// SIGKILL for us when our parent ends, however it ends.
void die_with_parent();

}  // namespace jigsaw::runtime
