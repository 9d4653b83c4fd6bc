#include "image/layer_attributes.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "image/layer_parents.h"
#include "unionfs/whiteout.h"

namespace jigsaw::image {
namespace {

// umask(2) can only be read by changing it, for all threads.
mode_t current_umask() {
  const std::string status = files::read("/proc/self/status");
  for (const std::string_view line : text::lines(status)) {
    if (line.starts_with("Umask:")) {
      return static_cast<mode_t>(std::stoul(std::string(text::trim(line.substr(6))), nullptr, 8));
    }
  }
  return 0777;
}

// 2^32-1 fits, and is nobody: chown(2) takes it for "leave as it is". What other tools unpack then belongs to whoever unpacks,
// root most often, and a set-user-ID program becomes root's.
uint32_t checked_id(uint64_t id, std::string_view what) {
  if (id >= UINT32_MAX) {
    throw fail("the {} {} is none that a file can have: the largest is {}", what, id, UINT32_MAX - 1);
  }
  return static_cast<uint32_t>(id);
}

// What the host's security modules manage and no image may bring.
bool is_of_the_host(std::string_view key) { return key == "security.selinux" || key == "system.nfs4_acl"; }

}  // namespace

EntryAttributes attributes_of(const struct stat& status) {
  return EntryAttributes{
      .mode = status.st_mode & 07777U, .uid = status.st_uid, .gid = status.st_gid, .mtime = status.st_mtim};
}

std::optional<std::string> take_default_access_list(int directory) {
  const std::string path = fmt::format("/proc/self/fd/{}", directory);  // the descriptor may be a mere O_PATH
  const ssize_t size = ::getxattr(path.c_str(), kDefaultAccessList, nullptr, 0);
  if (size <= 0) {
    return std::nullopt;
  }
  std::string list(static_cast<size_t>(size), '\0');
  const ssize_t got = ::getxattr(path.c_str(), kDefaultAccessList, list.data(), list.size());
  if (got <= 0 || ::removexattr(path.c_str(), kDefaultAccessList) != 0) {
    return std::nullopt;
  }
  list.resize(static_cast<size_t>(got));
  return list;
}

Privilege own_privilege() {
  return unionfs::usable_xattrs() == unionfs::Xattrs::kTrusted && ::geteuid() == 0 ? Privilege::kRoot : Privilege::kRootless;
}

AttributeSetter::AttributeSetter(Privilege privilege)
    : privilege_(privilege), uid_(::geteuid()), gid_(::getegid()), umask_(current_umask()) {}

bool AttributeSetter::tolerated(int error) const {
  return privilege_ == Privilege::kRootless && (error == EPERM || error == EINVAL);
}

void AttributeSetter::set_xattr(const std::string& path, int fd, const std::string& key, const std::string& value,
                                std::string_view name) {
  // overlayfs obeys user.overlay.* too where it is mounted with "userxattr", as without root: a layer that brought them would
  // hide files of others, or show what lies elsewhere.
  if (is_of_the_host(key) || unionfs::is_overlay_attribute(key)) {
    log::debug("{}: left out the attribute {}", text::quoted(name), text::quoted(key));
    return;
  }
  const int rc = fd >= 0 ? ::fsetxattr(fd, key.c_str(), value.data(), value.size(), 0)
                         : ::lsetxattr(path.c_str(), key.c_str(), value.data(), value.size(), 0);
  if (rc == 0) {
    return;
  }
  if (errno != ENOTSUP && errno != EPERM && !tolerated(errno)) {  // EINVAL: an access list names users that we don't have
    throw system_error(errno, fmt::format("set the attribute {}", text::quoted(key)));
  }
  if (!warned_xattr_) {
    warned_xattr_ = true;
    log::warning("{}: the attribute {} can't be set here and is left out, as are others like it", text::quoted(name),
                 text::quoted(key));
  }
}

void AttributeSetter::set(int fd, const EntryAttributes& attributes, Made made, std::string_view name) {
  const uint32_t uid = checked_id(attributes.uid, "user ID");
  const uint32_t gid = checked_id(attributes.gid, "group ID");
  if (!is_ours(uid, gid, made) && ::fchown(fd, uid, gid) != 0) {
    if (!tolerated(errno)) {
      throw system_error(errno, fmt::format("give it to user {} and group {}", uid, gid));
    }
    const bool root = uid == 0 && gid == 0;  // what is ours is root's again in the user namespace that we can make
    if (!warned_owner_ && !root) {
      warned_owner_ = true;
      log::warning("{}: user {} and group {} don't exist here; such files stay ours", text::quoted(name), uid, gid);
    }
  }
  for (const auto& [key, value] : attributes.xattrs) {
    set_xattr("", fd, key, value, name);
  }
  if (!made.fresh || (attributes.mode & (umask_ | 07000U)) != 0) {
    if (::fchmod(fd, attributes.mode) != 0 && !tolerated(errno)) {
      throw system_error(errno, fmt::format("set the mode {:04o}", attributes.mode));
    }
  }
  const timespec times[2] = {attributes.mtime, attributes.mtime};
  check(::futimens(fd, times), "set the time");
}

void AttributeSetter::set_at(int directory, const std::string& entry, const EntryAttributes& attributes, HasMode has_mode,
                             Made made) {
  const uint32_t uid = checked_id(attributes.uid, "user ID");
  const uint32_t gid = checked_id(attributes.gid, "group ID");
  if (!is_ours(uid, gid, made) && ::fchownat(directory, entry.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0 && !tolerated(errno)) {
    throw system_error(errno, fmt::format("give it to user {} and group {}", uid, gid));
  }
  for (const auto& [key, value] : attributes.xattrs) {
    set_xattr(fmt::format("/proc/self/fd/{}/{}", directory, entry), -1, key, value, entry);
  }
  if (has_mode == HasMode::kYes && ::fchmodat(directory, entry.c_str(), attributes.mode, 0) != 0) {
    throw system_error(errno, fmt::format("set the mode {:04o}", attributes.mode));
  }
  const timespec times[2] = {attributes.mtime, attributes.mtime};
  check(::utimensat(directory, entry.c_str(), times, AT_SYMLINK_NOFOLLOW), "set the time");
}

void AttributeSetter::clear_xattrs(int fd, const EntryAttributes& attributes) {
  for (const auto& [key, value] : read_xattrs(fd)) {
    if (!attributes.xattrs.contains(key) && !is_of_the_host(key)) {
      ::fremovexattr(fd, key.c_str());
    }
  }
}

}  // namespace jigsaw::image
