// Writing limits: the settings in order, and those that the kernel refused for what stood there before once more.
#include <fcntl.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cgroups/cgroup.h"
#include "cgroups/devices.h"
#include "cgroups/diagnose.h"
#include "cgroups/settings.h"

namespace jigsaw::cgroups {
namespace {

// On v2 quota and period are one file, so the one that is not given must be taken from what is there.
void complete_cpu(const Cgroup& cgroup, CpuLimits& cpu) {
  const Place* place = cgroup.find("cpu");
  const bool quota = cpu.quota.value_or(0) != 0;
  if (quota || cpu.period.value_or(0) == 0 || place == nullptr || place->hierarchy.version == Version::kV1) {
    return;
  }
  const std::string now = files::read_if_exists(place->directory + "/cpu.max").value_or("max");
  const auto words = text::words(now);
  cpu.quota = words.empty() || words[0] == "max" ? -1 : static_cast<int64_t>(text::to_u64(words[0]).value_or(0));
}

void check_usage(const Cgroup& cgroup, const MemoryLimits& memory) {
  const Place* place = cgroup.find("memory");
  if (!memory.check_before_update.value_or(false) || memory.limit.value_or(0) <= 0 || place == nullptr) {
    return;
  }
  const bool v1 = place->hierarchy.version == Version::kV1;
  const std::string usage = files::read(fmt::format("{}/{}", place->directory, v1 ? "memory.usage_in_bytes" : "memory.current"));
  if (text::to_u64(text::trim(usage)).value_or(0) > static_cast<uint64_t>(*memory.limit)) {
    throw fail("a memory limit of {} bytes is below what is used now, {} bytes", *memory.limit, text::trim(usage))
        .with_hint("memory.checkBeforeUpdate asks to refuse it rather than to kill processes");
  }
}

// 0, or the errno of the file that refused.
int write_setting(const Place& place, const Setting& setting) {
  int number = sys::try_write_file_at(place.fd.get(), setting.file, setting.value,
                                      fmt::format("{}/{}", place.directory, setting.file), setting.why);
  if (number == ENOENT && !setting.otherwise.empty()) {
    number = sys::try_write_file_at(place.fd.get(), setting.otherwise, setting.otherwise_value,
                                    fmt::format("{}/{}", place.directory, setting.otherwise), setting.why);
  }
  return setting.refusal == Setting::Refusal::kIgnored ? 0 : number;
}

const Place& place_for(const Cgroup& cgroup, const std::string& controller) {
  const Place* place = cgroup.find(controller);
  if (place == nullptr) {
    throw fail("the cgroup {} is not in the tree of the controller {}", cgroup.path(), controller)
        .with_hint("it was made without that controller, or removed there");
  }
  return *place;
}

}  // namespace

void Cgroup::apply(const Limits& asked) const {
  validate(asked);
  Limits limits = asked;
  complete_cpu(*this, limits.cpu);
  check_usage(*this, limits.memory);
  Layout layout;
  for (const Place& place : places_) {
    layout.hierarchies.push_back(place.hierarchy);
  }
  // A new memory limit may exceed the old one with swap, a new period the old quota: what is refused now may be
  // right once the rest is written.
  std::vector<Setting> again;
  for (const Setting& setting : settings_for(limits, layout)) {
    const Place& place = place_for(*this, setting.controller);
    const int number = write_setting(place, setting);
    if (number == EINVAL && (setting.controller == "memory" || setting.controller == "cpu")) {
      again.push_back(setting);
    } else if (number != 0) {
      throw setting_refused(setting, place, number);
    }
  }
  for (const Setting& setting : again) {
    const Place& place = place_for(*this, setting.controller);
    if (const int number = write_setting(place, setting); number != 0) {
      throw setting_refused(setting, place, number);
    }
  }
  const Place* devices = limits.devices.empty() ? nullptr : find("devices");
  if (devices != nullptr && devices->hierarchy.version == Version::kV2) {
    attach_device_program(devices->fd.get(), device_program(limits.devices), devices->directory);
  }
}

}  // namespace jigsaw::cgroups
