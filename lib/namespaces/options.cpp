#include "namespaces/options.h"

#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "namespaces/furnish.h"
#include "namespaces/id_maps.h"
#include "namespaces/sets.h"

namespace jigsaw::namespaces {

void add_namespace_options(CLI::App& command, NamespaceOptions& options) {
  command.add_option("--namespaces", options.wanted, "the new ones, such as pid,net,mnt; all, none")
      ->capture_default_str()
      ->check(cli::refuse_empty);
  command.add_option("--without", options.without, "leave some out, to see what they protect from");
  command.add_option("--hostname", options.hostname, "its host name")->each([](const std::string& name) {
    check_host_name("host name", name);
  });
  const auto shift = [&options](const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      options.clocks.push_back(parse_clock_offset(word));
    }
  };
  command
      .add_option_function<std::vector<std::string>>(
          "--time-offset", shift, "monotonic=SECONDS or boottime=SECONDS: shift that clock of its time namespace")
      ->allow_extra_args(false);
  command.add_flag("--init", options.init, "stay as PID 1 above the program, to reap and hand on signals");
}

uint64_t chosen(const NamespaceOptions& options) {
  const uint64_t set = parse(options.wanted) & ~parse(options.without);
  if (!options.clocks.empty()) {
    require(set, "time", "a clock can only be shifted in a time namespace");
  }
  return needs_user_namespace() ? set | parse("user") : set;
}

bool has(uint64_t set, std::string_view kind) { return (set & parse(kind)) != 0; }

void require(uint64_t set, std::string_view kind, std::string_view problem) {
  if (!has(set, kind)) {
    throw Error(std::string(problem), fmt::format("leave {} among the namespaces", kind));
  }
}

uint64_t at_birth(uint64_t set, const NamespaceOptions& options) {
  return set & ~parse(options.clocks.empty() ? "cgroup" : "cgroup,time");
}

}  // namespace jigsaw::namespaces
