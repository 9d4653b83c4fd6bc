// Id maps of a user namespace (user_namespaces(7)): which id outside stands behind each id inside. They are written
// once, from outside, to /proc/PID/uid_map and gid_map.
//
//     inside   outside   count              root maps anything; a user without privilege maps himself, and further
//          0      1000       1     <- me    ranges that /etc/subuid and /etc/subgid give him, by way of the setuid
//          1    100000   65536     <- subuid  programs newuidmap(1) and newgidmap(1)
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jigsaw::namespaces {

struct IdRange {
  uint32_t inside = 0;
  uint32_t outside = 0;
  uint32_t count = 1;
  bool operator==(const IdRange&) const = default;
};

struct IdMaps {
  std::vector<IdRange> uids;
  std::vector<IdRange> gids;
  bool operator==(const IdMaps&) const = default;
};

// The maps of a user without privilege: himself as root, and what /etc/subuid and /etc/subgid give him above it, if
// newuidmap(1) is installed.
IdMaps rootless_maps();
// Whether the caller lacks the privilege to make namespaces: then the first of them must be a user namespace, in which
// he has it.
bool needs_user_namespace();
// Whether we are in a user namespace other than the first: root there makes no device files, nor any sysfs of the host.
bool in_user_namespace();
// rootless_maps() for those; root maps the first 65536 ids to themselves: files keep their owners, but the power over
// the rest of the host is gone.
IdMaps own_maps();
// The ranges of `user` (a name or a number) in the text of a subuid file: (first id, count).
std::vector<IdRange> subordinate_ids(const std::string& file_text, const std::string& user, uid_t uid);

// The outside id of `inside`, or nothing if it is not mapped.
std::optional<uint32_t> to_outside(const std::vector<IdRange>& ranges, uint32_t inside);
// Throws on ranges that are empty, overlap, or run over the end of the ids; the kernel would only say EINVAL.
void check_ranges(const std::vector<IdRange>& ranges, const std::string& what);

// Writes both maps of `pid`. As root directly; else directly if one id of our own is mapped, or by newuidmap and
// newgidmap. Without privilege setgroups(2) is denied first where the kernel demands it.
void write_id_maps(pid_t pid, const IdMaps& maps);

}  // namespace jigsaw::namespaces
