#include "security/user.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

namespace jigsaw::security {
namespace {

constexpr size_t kLimit = 4U << 20;       // bytes of one account file
constexpr uint64_t kMaxId = 0xfffffffe;   // 4294967295 means "no change" to the kernel

std::string read_regular(int root, const std::string& path) {
  const Fd fd = sys::try_openat2(root, path, {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS},
                                 "names of users and groups are the container's own");
  if (!fd && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) {
    return {};
  }
  if (!fd && (errno == ENXIO || errno == ENODEV)) {  // a socket, or a device without a driver
    throw fail("/{} is not a regular file", path);
  }
  check(fd ? 0 : -1, "open /{}", path);
  struct stat status {};
  check(::fstat(fd.get(), &status), "stat /{}", path);
  if (!S_ISREG(status.st_mode)) {
    throw fail("/{} is not a regular file", path);
  }
  return files::read_fd(fd.get(), "/" + path, kLimit);
}

std::optional<uint32_t> to_id(std::string_view text) {
  const auto number = text::to_u64(text);
  return number && *number <= kMaxId ? std::optional(static_cast<uint32_t>(*number)) : std::nullopt;
}

bool looks_like_number(std::string_view text) {
  return !text.empty() && (text.front() == '-' || text.front() == '+' || (text.front() >= '0' && text.front() <= '9')) &&
         text.find_first_not_of("+-0123456789") == std::string_view::npos;
}

struct PasswdLine {
  std::string_view name;
  uint32_t uid;
  uint32_t gid;
  std::string_view home;
};

// The first line for which `wanted` holds. Lines that are broken are passed over, as getpwnam(3) does.
template <class Wanted>
std::optional<PasswdLine> find_user(std::string_view passwd, Wanted wanted) {
  for (const std::string_view line : text::lines(passwd)) {
    const auto fields = text::split(line, ':');
    if (fields.size() < 6 || fields[0].empty()) {
      continue;
    }
    const auto uid = to_id(fields[2]);
    const auto gid = to_id(fields[3]);
    if (uid && gid && wanted(fields[0], *uid)) {
      return PasswdLine{fields[0], *uid, *gid, fields[5]};
    }
  }
  return std::nullopt;
}

std::vector<gid_t> groups_of(std::string_view group, std::string_view user) {
  std::vector<gid_t> result;
  for (const std::string_view line : text::lines(group)) {
    const auto fields = text::split(line, ':');
    const auto gid = fields.size() > 3 ? to_id(fields[2]) : std::nullopt;
    if (!gid) {
      continue;
    }
    const auto members = text::split(fields[3], ',');
    if (std::find(members.begin(), members.end(), user) != members.end()) {
      result.push_back(*gid);
    }
  }
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

}  // namespace

AccountFiles read_account_files(int root) {
  return {.passwd = read_regular(root, "etc/passwd"), .group = read_regular(root, "etc/group")};
}

gid_t resolve_group(std::string_view text, const AccountFiles& files) {
  if (const auto gid = to_id(text)) {
    return *gid;
  }
  for (const std::string_view line : text::lines(files.group)) {
    const auto fields = text::split(line, ':');
    if (fields.size() > 2 && !text.empty() && fields[0] == text) {
      if (const auto gid = to_id(fields[2])) {
        return *gid;
      }
    }
  }
  throw looks_like_number(text)
      ? Error(fmt::format("group {} is not a number from 0 to {}", text::quoted(text), kMaxId))
      : Error(fmt::format("no group {} in the container's /etc/group", text::quoted(text)), "a number is taken as it is");
}

User resolve_user(std::string_view text, const AccountFiles& files) {
  auto parts = text::split(text, ':');
  if (parts.size() == 2 && parts[1].empty() && !parts[0].empty()) {
    parts.pop_back();  // "alice:" is alice with her own group
  }
  if (parts.size() > 2 || (parts.back().empty() && !text.empty())) {
    throw Error(fmt::format("user {} is malformed", text::quoted(text)), "it is USER, UID, USER:GROUP or UID:GID");
  }
  const std::string_view name = parts[0];
  const auto number = name.empty() ? std::optional<uint32_t>(0) : to_id(name);
  const auto entry =
      find_user(files.passwd, [&](std::string_view known, uint32_t uid) { return number ? uid == *number : known == name; });
  if (!entry && !number) {
    throw looks_like_number(name)
        ? Error(fmt::format("user {} is not a number from 0 to {}", text::quoted(name), kMaxId))
        : Error(fmt::format("no user {} in the container's /etc/passwd", text::quoted(name)), "a number is taken as it is");
  }
  User user{.uid = entry ? entry->uid : *number};
  if (entry) {
    user.gid = entry->gid;
    user.name = entry->name;
    user.home = entry->home.empty() ? "/" : std::string(entry->home);
    user.groups = parts.size() == 1 ? groups_of(files.group, entry->name) : std::vector<gid_t>{};
  }
  if (parts.size() == 2) {
    user.gid = resolve_group(parts[1], files);
  }
  return user;
}

}  // namespace jigsaw::security
