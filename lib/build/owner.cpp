#include "build/owner.h"

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::build {
namespace {

constexpr size_t kUserFileLimit = 10 << 20;  // bytes
constexpr uint64_t kMaxId = 4294967294;      // the last one means "unchanged" to chown(2)

std::optional<uint32_t> to_id(std::string_view text) {
  const std::optional<uint64_t> number = text::to_u64(text);
  return number && *number <= kMaxId ? std::optional(static_cast<uint32_t>(*number)) : std::nullopt;
}

// The fields of the line that starts with "<name>:" in a colon-separated file of the tree.
std::vector<std::string> record(Tree& tree, const std::string& file, std::string_view name) {
  const std::optional<std::string> content = tree.read_file(file, kUserFileLimit);
  if (!content) {
    return {};
  }
  for (const std::string_view line : text::lines(*content)) {
    const std::vector<std::string_view> fields = text::split(text::trim(line), ':');
    if (fields.size() >= 3 && fields[0] == name) {
      return {fields.begin(), fields.end()};
    }
  }
  return {};
}

struct Lookup {
  Owner owner;
  std::string missing;  // what was not found: "user www-data"
  std::string file;
};

Lookup look_up(Tree& tree, std::string_view text) {
  Lookup result;
  const size_t colon = text.find(':');
  const std::string_view user = text.substr(0, colon);
  if (text.empty()) {
    throw fail("'{}' names no owner", text).with_hint("write USER, USER:GROUP or numbers");
  }
  if (const std::optional<uint32_t> id = to_id(user)) {
    result.owner = {*id, *id};
  } else if (!user.empty() && user != "root") {
    const std::vector<std::string> fields = record(tree, "/etc/passwd", user);
    const std::optional<uint32_t> uid = fields.size() >= 4 ? to_id(fields[2]) : std::nullopt;
    const std::optional<uint32_t> gid = fields.size() >= 4 ? to_id(fields[3]) : std::nullopt;
    if (!uid || !gid) {
      result.missing = fmt::format("user {}", user);
      result.file = "/etc/passwd";
      return result;
    }
    result.owner = {*uid, *gid};
  }
  if (colon == std::string_view::npos) {
    return result;
  }
  const std::string_view group = text.substr(colon + 1);
  std::optional<uint32_t> gid = group.empty() || group == "root" ? 0 : to_id(group);
  if (!gid) {
    const std::vector<std::string> fields = record(tree, "/etc/group", group);
    gid = fields.size() >= 3 ? to_id(fields[2]) : std::nullopt;
  }
  if (!gid) {
    result.missing = fmt::format("group {}", group);
    result.file = "/etc/group";
    return result;
  }
  result.owner.gid = *gid;
  return result;
}

}  // namespace

Owner resolve_owner(Tree& tree, std::string_view text) {
  const Lookup lookup = look_up(tree, text);
  if (!lookup.missing.empty()) {
    throw fail("unable to find {}: it is not in the image's {}", lookup.missing, lookup.file)
        .with_hint("make it with RUN before, or give its number");
  }
  return lookup.owner;
}

std::optional<Owner> find_owner(Tree& tree, std::string_view text) {
  const Lookup lookup = look_up(tree, text);
  return lookup.missing.empty() ? std::optional(lookup.owner) : std::nullopt;
}

}  // namespace jigsaw::build
