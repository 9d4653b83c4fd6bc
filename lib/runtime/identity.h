// Identity: who the program is and what it may do. The order is forced: what needs power comes before it is given up.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "runtime/spec.h"

namespace jigsaw::runtime {

struct Program {
  std::string path;                      // looked up as its user
  std::vector<std::string> environment;  // with a HOME
};

// User, groups, capabilities, limits, scheduling, working directory. If the filter can only be loaded with privileges, they
// are kept until become_program().
Program become_user(const Process& process, const Spec& spec, const std::optional<security::SeccompProgram>& filter);

// AppArmor's profile and SELinux' label, for the program that comes. Takes no privilege, but a /proc that shows us.
void set_labels(const Process& process);

// Loads the filter before the container is started, and gives up the privilege that it took. Who waits in the pid namespace of
// others would have that until then, for whoever may look into it. Only if the filter refuses nothing that is still to be done;
// false if it is left to become_program().
bool load_filter_early(const Process& process, const Spec& spec, const std::optional<security::SeccompProgram>& filter);

// The last steps: the filter, descriptors, signals, execve(). A filter that asks an agent hands its descriptor to
// `tell_agent`.
[[noreturn]] void become_program(const Process& process, const Program& program,
                                 const std::optional<security::SeccompProgram>& filter,
                                 const std::function<void(int listener)>& tell_agent, int preserve_fds);

}  // namespace jigsaw::runtime
