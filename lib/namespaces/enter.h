// Entering namespaces that exist: setns(2). A namespace lives as long as a process is in it, or a file such as
// /proc/PID/ns/net is held open or bind-mounted somewhere.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "namespaces/sets.h"

namespace jigsaw::namespaces {

// A namespace opened by its path, checked to be of its kind.
struct Opened {
  const Kind* kind;
  std::string path;
  Fd fd;
};
Opened open(const Kind& kind, const std::string& path);

// Enters it. For pid and time it is the children of the caller that are in it.
void enter(const Opened& opened);
// Enters all namespaces of `set` that the process behind `pidfd` has, in one call.
void enter_those_of(int pidfd, uint64_t set);

// The id of a namespace (st_ino of its file): equal for two processes in the same one. 0 if there is none or it may
// not be seen. `process` is a pid or "self".
uint64_t id(const std::string& process, const Kind& kind);
// The kinds in which `process` differs from us. `known` ones are taken for different without a look, which costs more than
// entering them.
uint64_t differing(const std::string& process, uint64_t known = 0);

// One line of `ls`: the namespaces of a process.
struct ProcessNamespaces {
  pid_t pid;
  std::string command;
  std::vector<uint64_t> ids;  // in the order of kinds()
};
std::vector<ProcessNamespaces> list();

}  // namespace jigsaw::namespaces
