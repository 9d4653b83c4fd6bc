#include "cgroups/systemd.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cgroups/settings.h"

namespace jigsaw::cgroups {
namespace {

bool is_unit_name(std::string_view name) {
  return !name.empty() && name.size() < 200 && name.find("..") == std::string_view::npos &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || std::string_view(":-_.\\@").find(static_cast<char>(c)) != std::string_view::npos;
         });
}

// "a-b.slice" -> "/a.slice/a-b.slice"; "-.slice" is the root.
std::string slice_path(const std::string& slice) {
  if (slice == "-.slice") {
    return "";
  }
  const std::string stem = slice.substr(0, slice.size() - 6);
  std::string path;
  for (size_t dash = stem.find('-'); true; dash = stem.find('-', dash + 1)) {
    path += fmt::format("/{}.slice", stem.substr(0, dash));
    if (dash == std::string::npos) {
      return path;
    }
  }
}

void add(std::vector<std::string>& properties, const std::optional<int64_t>& value, const char* name) {
  if (value.value_or(0) != 0) {
    properties.push_back(fmt::format("{}=t:{}", name, *value < 0 ? UINT64_MAX : static_cast<uint64_t>(*value)));
  }
}

}  // namespace

Scope parse_scope(std::string_view cgroups_path, std::string_view id, Scope::Keeper keeper) {
  Scope scope;
  scope.keeper = keeper;
  scope.slice = keeper == Scope::Keeper::kUser ? "user.slice" : "system.slice";
  std::string name = fmt::format("jigsaw-{}", id);
  if (!cgroups_path.empty()) {
    const auto parts = text::split(cgroups_path, ':');
    if (parts.size() != 3) {
      throw fail("cgroupsPath {} is not in systemd's form", text::quoted(cgroups_path)).with_hint("write slice:prefix:name");
    }
    scope.slice = parts[0].empty() ? scope.slice : std::string(parts[0]);
    name = parts[1].empty() ? std::string(parts[2]) : fmt::format("{}-{}", parts[1], parts[2]);
  }
  scope.unit = name.ends_with(".scope") || name.ends_with(".slice") ? name : name + ".scope";
  const std::string_view stem = std::string_view(scope.slice).substr(0, scope.slice.size() - std::min<size_t>(6, scope.slice.size()));
  const bool dashes = stem != "-" && (stem.starts_with('-') || stem.ends_with('-') || stem.find("--") != std::string_view::npos);
  if (!is_unit_name(scope.slice) || !scope.slice.ends_with(".slice") || stem.empty() || dashes) {
    throw fail("{} is no name of a slice", text::quoted(scope.slice)).with_hint("a slice is called like system.slice or a-b.slice");
  }
  if (!is_unit_name(scope.unit)) {
    throw fail("{} is no name of a unit", text::quoted(scope.unit)).with_hint("letters, digits and : - _ . \\ @ make one");
  }
  scope.path = fmt::format("{}/{}", slice_path(scope.slice), scope.unit);
  return scope;
}

std::vector<std::string> scope_properties(const Limits& limits, Version version) {
  std::vector<std::string> properties;
  const bool v2 = version == Version::kV2;
  add(properties, limits.memory.limit, v2 ? "MemoryMax" : "MemoryLimit");
  if (v2) {
    add(properties, limits.memory.reservation, "MemoryLow");
  }
  if (limits.cpu.shares.value_or(0) != 0) {
    properties.push_back(v2 ? fmt::format("CPUWeight=t:{}", weight_from_shares(*limits.cpu.shares))
                            : fmt::format("CPUShares=t:{}", *limits.cpu.shares));
  }
  if (const int64_t quota = limits.cpu.quota.value_or(0); quota != 0) {
    const uint64_t period = limits.cpu.period.value_or(0) != 0 ? *limits.cpu.period : 100000;
    // systemd keeps it in microseconds for each second, in steps of one hundredth of a CPU.
    const uint64_t per_second = quota < 0 ? UINT64_MAX : (static_cast<uint64_t>(quota) * 1000000 / period + 9999) / 10000 * 10000;
    properties.push_back(fmt::format("CPUQuotaPerSecUSec=t:{}", per_second));
    if (v2) {
      properties.push_back(fmt::format("CPUQuotaPeriodUSec=t:{}", period));
    }
  }
  add(properties, limits.pids, "TasksMax");
  return properties;
}

std::vector<std::string> annotated_properties(const std::map<std::string, std::string>& annotations) {
  static constexpr std::string_view kPrefix = "org.systemd.property.";
  // An annotation may come from an image or a pod.
  static constexpr std::string_view kOurs[] = {"Slice", "PIDs", "Controller", "Delegate", "DelegateControllers", "DelegateSubgroup",
                                               "DefaultDependencies", "DevicePolicy", "DeviceAllow"};
  std::vector<std::string> properties;
  for (const auto& [key, value] : annotations) {
    if (!key.starts_with(kPrefix)) {
      continue;
    }
    const std::string name = key.substr(kPrefix.size());
    const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
    if (name.empty() || !plain) {
      throw fail("annotation {} names no property of a unit", text::quoted(key));
    }
    if (std::find(std::begin(kOurs), std::end(kOurs), name) != std::end(kOurs)) {
      throw fail("annotation {} is refused: where a container is and what it may use is not for an annotation to say", text::quoted(key));
    }
    if (name.ends_with("Action") || name.find("Reboot") != std::string::npos) {  // SuccessAction='reboot-force' (CVE-2024-3154)
      throw fail("annotation {} is refused: what becomes of the machine is not for an annotation to say", text::quoted(key));
    }
    if (value == "true" || value == "false") {
      properties.push_back(fmt::format("{}=b:{}", name, value));
    } else if (value.size() >= 2 && (value.front() == '\'' || value.front() == '"') && value.back() == value.front()) {
      properties.push_back(fmt::format("{}=s:{}", name, value.substr(1, value.size() - 2)));
    } else if (value.starts_with("uint64 ") || text::to_u64(value)) {
      const uint64_t number = text::parse_u64(value.starts_with("uint64 ") ? value.substr(7) : value, key);
      // A property ...Sec is kept by systemd as ...USec, in microseconds.
      properties.push_back(name.ends_with("Sec") && !name.ends_with("USec")
                               ? fmt::format("{}USec=t:{}", name.substr(0, name.size() - 3), number * 1000000)
                               : fmt::format("{}=t:{}", name, number));
    } else {
      throw fail("annotation {} has a value that is not understood: {}", text::quoted(key), text::quoted(value))
          .with_hint("a number, true, false, or a text in quotes");
    }
  }
  return properties;
}

std::vector<std::string> start_scope_command(const Scope& scope, pid_t pid, const std::vector<std::string>& properties) {
  std::vector<std::string> words = {"start", scope.keeper == Scope::Keeper::kUser ? "user" : "system", scope.unit, scope.slice,
                                    fmt::format("{}", pid)};
  words.insert(words.end(), properties.begin(), properties.end());
  return words;
}

std::vector<std::string> set_scope_command(const Scope& scope, const std::vector<std::string>& properties) {
  std::vector<std::string> words = {"set", scope.keeper == Scope::Keeper::kUser ? "user" : "system", scope.unit};
  words.insert(words.end(), properties.begin(), properties.end());
  return words;
}

std::vector<std::string> stop_scope_command(const Scope& scope) {
  return {"stop", scope.keeper == Scope::Keeper::kUser ? "user" : "system", scope.unit};
}

}  // namespace jigsaw::cgroups
