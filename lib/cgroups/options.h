// The command line's words for a cgroup: --name and the limits; and what a run makes of them.
#pragma once

#include <optional>
#include <string>

#include "base/files.h"
#include "base/journal.h"
#include "cgroups/cgroup.h"
#include "cgroups/limits.h"

namespace CLI {
class App;
}

namespace jigsaw::cgroups {

struct CgroupOptions {
  std::string name = files::random_hex(4);
  LimitTexts limits;
};
void add_cgroup_options(CLI::App& command, CgroupOptions& options);
void add_limit_options(CLI::App& command, LimitTexts& limits);

// The cgroup "jigsaw-NAME" with its limits, noted in `record` before it is made. None if nothing is to be limited and
// we may not make one.
std::optional<Cgroup> make_for(const CgroupOptions& options, journal::Record& record);

// journal::common_kinds() and "cgroup".
journal::Kinds journal_kinds();

}  // namespace jigsaw::cgroups
