// The command line's words for namespaces: --namespaces, --without, --hostname, --init.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace jigsaw::namespaces {

struct NamespaceOptions {
  std::string wanted = "mnt,pid,uts,ipc,net,cgroup,time";
  std::string without = "none";
  std::string hostname;  // "" if none was given
  bool init = false;     // a PID 1 of ours above the program
};
void add_namespace_options(CLI::App& command, NamespaceOptions& options);

// The CLONE_NEW* flags that were chosen; a user namespace is among them where we could make no other without it.
uint64_t chosen(const NamespaceOptions& options);
bool has(uint64_t set, std::string_view kind);

}  // namespace jigsaw::namespaces
