// RUN --mount=type=ssh: a socket of our own before the caller's agent.
//
// The container never sees the agent's own socket: a process of ours listens on another one, which has the mode and the
// owner that the mount asks for, and hands on what each side says (unix(7)). So a user of the container that is not root
// can be let in, and the agent's socket keeps its rights.
#pragma once

#include <sys/types.h>

#include <string>

#include "process/spawn.h"

namespace jigsaw::build {

class AgentSocket {
 public:
  struct Rights {
    mode_t mode = 0600;
    uid_t uid = 0;
    gid_t gid = 0;
  };
  // Listens at `path` until destruction, for the agent at `agent`. Throws if nobody listens there.
  AgentSocket(const std::string& path, const std::string& agent, const Rights& rights);

 private:
  process::Child relay_;
};

}  // namespace jigsaw::build
