// What a configuration asks for and the running kernel does not have. It is refused where leaving it out would change
// what the program may do; a label of a security module that does not run confines nobody, and only a warning says so:
// the specification's validation programs want such a container to start.
#pragma once

#include "runtime/spec.h"

namespace jigsaw::runtime {

// The security modules that run, as the host shows them. Asked once, before anything of a container's is looked at: its
// /sys can show what it likes.
struct SecurityModules {
  bool apparmor = false;
  bool selinux = false;
};
const SecurityModules& security_modules();

// Called in the parent, before the clone.
void check_against_kernel(const Process& process);
void check_against_kernel(const Spec& spec);

}  // namespace jigsaw::runtime
