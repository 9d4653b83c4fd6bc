// The command line's words for namespaces: --namespaces, --without, --hostname, --time-offset, --init.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "namespaces/clocks.h"

namespace CLI {
class App;
}

namespace jigsaw::namespaces {

struct NamespaceOptions {
  std::string wanted = "mnt,pid,uts,ipc,net,cgroup,time";
  std::string without = "none";
  std::string hostname;             // "" if none was given
  std::vector<ClockOffset> clocks;  // offsets of a time namespace
  bool init = false;                // a PID 1 of ours above the program
};
void add_namespace_options(CLI::App& command, NamespaceOptions& options);

// The CLONE_NEW* flags that were chosen; a user namespace is among them where we could make no other without it.
uint64_t chosen(const NamespaceOptions& options);
bool has(uint64_t set, std::string_view kind);
// Throws `problem` unless `kind` is in `set`.
void require(uint64_t set, std::string_view kind, std::string_view problem);
// Those of `set` that the child is born in: the others are made by furnish().
uint64_t at_birth(uint64_t set, const NamespaceOptions& options);

}  // namespace jigsaw::namespaces
