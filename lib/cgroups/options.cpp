#include "cgroups/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"

namespace jigsaw::cgroups {
namespace {

constexpr size_t kLongestName = 64;  // it is a host name too

// It becomes a directory, a host name and a part of other names.
void check_name(const std::string& name) {
  const auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-'; };
  if (name.empty() || name.size() > kLongestName || !std::all_of(name.begin(), name.end(), fits) ||
      std::isalnum(static_cast<unsigned char>(name.front())) == 0) {
    throw fail("{} is no name for a cgroup", text::quoted(name))
        .with_hint(fmt::format("begin with a letter or digit; then letters, digits, '_', '.' and '-', no slash, {} at most", kLongestName));
  }
}

}  // namespace

void add_limit_options(CLI::App& command, LimitTexts& limits) {
  if (!cli::asks_for_more(command)) {
    return;
  }
  for (const LimitOption& option : limit_options()) {
    CLI::Option* added = command.add_option(option.name, limits.*option.text, option.help);
    if (std::string_view(option.name).find("cpuset") == std::string_view::npos) {
      added->check(cli::refuse_empty);  // an empty cpuset is no set of its own, as for Docker
    }
  }
  for (const LimitListOption& option : limit_list_options()) {
    command.add_option(option.name, limits.*option.texts, option.help)->allow_extra_args(false);
  }
}

void add_cgroup_options(CLI::App& command, CgroupOptions& options) {
  command.add_option("--name", options.name, "the name of its cgroup, and its host name");
  add_limit_options(command, options.limits);
}

std::optional<Cgroup> make_for(const CgroupOptions& options, journal::Record& record) {
  check_name(options.name);
  const Limits limits = parse_limits(options.limits);
  const Layout layout = read_layout();
  const std::string path = usual_path(layout, "jigsaw-" + options.name);
  if (asks_for_nothing(limits) && !may_create(layout, path)) {
    return std::nullopt;
  }
  record.note("cgroup", path);
  Cgroup cgroup = Cgroup::create(layout, path);
  cgroup.apply(limits);
  return cgroup;
}

journal::Kinds journal_kinds() {
  journal::Kinds kinds = journal::common_kinds();
  kinds["cgroup"] = undo_cgroup;
  return kinds;
}

}  // namespace jigsaw::cgroups
