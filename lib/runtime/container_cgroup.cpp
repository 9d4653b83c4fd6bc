#include "runtime/container_cgroup.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "runtime/container.h"

namespace jigsaw::runtime {

cgroups::Cgroup cgroup_of(const State& state, const cgroups::Layout& layout) {
  return state.cgroup.empty() ? cgroups::Cgroup::none("") : cgroups::Cgroup::open(layout, state.cgroup);
}

std::string cgroup_path(const Spec& spec, const Surroundings& surroundings, const cgroups::Layout& layout) {
  return spec.cgroups_path.empty() ? cgroups::usual_path(layout, "jigsaw-" + surroundings.id)
                                   : cgroups::clean_path(spec.cgroups_path);
}

bool goes_without_cgroup(const Spec& spec, const cgroups::Layout& layout, const std::string& path) {
  cgroups::Limits limits = spec.limits;
  limits.devices.clear();
  return cgroups::asks_for_nothing(limits) && !cgroups::may_create(layout, path);
}

cgroups::Limits limits_with_devices(const Spec& spec) {
  cgroups::Limits limits = spec.limits;
  if (limits.devices.empty()) {
    return limits;
  }
  using Rule = cgroups::DeviceRule;
  const auto allow = [&](Rule::Kind kind, std::optional<int64_t> major, std::optional<int64_t> minor, const char* access) {
    limits.devices.push_back({Rule::Answer::kAllow, kind, major, minor, access});
  };
  allow(Rule::Kind::kCharacter, {}, {}, "m");
  allow(Rule::Kind::kBlock, {}, {}, "m");
  for (const rootfs::Device& device : rootfs::default_devices()) {
    allow(Rule::Kind::kCharacter, device.major, device.minor, "rwm");
  }
  allow(Rule::Kind::kCharacter, 5, 1, "rwm");    // console
  allow(Rule::Kind::kCharacter, 5, 2, "rwm");    // ptmx
  allow(Rule::Kind::kCharacter, 136, {}, "rwm");  // pts/*
  // Those of linux.devices are there to be seen; whether they may be used, linux.resources.devices says.
  return limits;
}

cgroups::Scope scope_of(const Spec& spec, const Surroundings& surroundings) {
  const auto keeper = ::geteuid() == 0 ? cgroups::Scope::Keeper::kSystem : cgroups::Scope::Keeper::kUser;
  return cgroups::parse_scope(spec.cgroups_path, surroundings.id, keeper);
}

bool made_meanwhile(const Spec& spec, const cgroups::Layout& layout) {
  return layout.hierarchies.size() > (layout.unified() != nullptr ? 1U : 0U) && spec.hooks.prestart.empty() && spec.hooks.create_runtime.empty();
}

std::optional<std::string> why_taken(const cgroups::Layout& layout, const std::string& path) {
  const bool exists = std::any_of(layout.hierarchies.begin(), layout.hierarchies.end(), [&](const cgroups::Hierarchy& each) {
    return (each.version == cgroups::Version::kV2 || each.has("freezer") || each.has("pids")) && files::is_directory(each.directory(path));
  });
  if (!exists) {
    return std::nullopt;
  }
  const cgroups::Cgroup cgroup = cgroups::Cgroup::open(layout, path);
  if (!cgroup.processes().empty()) {
    return "holds processes already";
  }
  return cgroup.frozen() ? std::optional("is frozen: nothing would start in it") : std::nullopt;
}

void limit(const cgroups::Cgroup& cgroup, const Spec& spec) {
  if (cgroup.path().find('/', 1) != std::string::npos && cgroup.frozen()) {
    throw fail("the cgroup {} is below a frozen one: nothing would start in it", cgroup.path());
  }
  cgroup.apply(limits_with_devices(spec));
}

bool can_limit() {
  const cgroups::Layout layout = cgroups::read_layout();
  return cgroups::may_create(layout, cgroups::usual_path(layout, "jigsaw-any"));
}

}  // namespace jigsaw::runtime
