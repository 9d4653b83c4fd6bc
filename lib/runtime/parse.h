// The parts of config.json, each from its place in the document. Used by parse*.cpp only.
#pragma once

#include "base/json.h"
#include "runtime/spec.h"

namespace jigsaw::runtime::parse {

Process process(const json::View& view);
security::Capabilities capabilities(const json::View& view);
Hooks hooks(const json::View& view);
std::vector<MountPoint> mounts(const json::View& view);
void linux_part(const json::View& view, Spec& spec);
cgroups::Limits limits(const json::View& view);
security::Seccomp seccomp(const json::View& view);
namespaces::IdMaps id_maps(const json::View& owner, const char* uids, const char* gids);

template <class Number>
Number number_or(const json::View& view, std::string_view key, Number otherwise) {
  const auto member = view.find(key);
  if (!member) {
    return otherwise;
  }
  if constexpr (std::is_signed_v<Number>) {
    return static_cast<Number>(member->integer(std::numeric_limits<Number>::min(), std::numeric_limits<Number>::max()));
  } else {
    return static_cast<Number>(member->unsigned_integer(std::numeric_limits<Number>::max()));
  }
}

// Present and not null: read by `read`.
template <class Value, class Read>
void optionally(const json::View& view, std::string_view key, std::optional<Value>& value, Read read) {
  if (const auto member = view.find(key)) {
    value = read(*member);
  }
}

inline std::optional<int64_t> optional_integer(const json::View& view, std::string_view key) {
  const auto member = view.find(key);
  return member ? std::optional(member->integer()) : std::nullopt;
}
inline std::optional<uint64_t> optional_unsigned(const json::View& view, std::string_view key, uint64_t max = UINT64_MAX) {
  const auto member = view.find(key);
  return member ? std::optional(member->unsigned_integer(max)) : std::nullopt;
}

}  // namespace jigsaw::runtime::parse
