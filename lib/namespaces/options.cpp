#include "namespaces/options.h"

#include <CLI/CLI.hpp>

#include "namespaces/id_maps.h"
#include "namespaces/sets.h"

namespace jigsaw::namespaces {

void add_namespace_options(CLI::App& command, NamespaceOptions& options) {
  command.add_option("--namespaces", options.wanted, "the new ones, such as pid,net,mnt; all, none")->capture_default_str();
  command.add_option("--without", options.without, "leave some out, to see what they protect from");
  command.add_option("--hostname", options.hostname, "its host name");
  command.add_flag("--init", options.init, "stay as PID 1 above the program, to reap and hand on signals");
}

uint64_t chosen(const NamespaceOptions& options) {
  const uint64_t set = parse(options.wanted) & ~parse(options.without);
  return needs_user_namespace() ? set | parse("user") : set;
}

bool has(uint64_t set, std::string_view kind) { return (set & parse(kind)) != 0; }

}  // namespace jigsaw::namespaces
