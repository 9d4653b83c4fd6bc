// Mounts of a container: a plan of plain structs, then attach() for each.
//
// A mount is made in two halves. First the file system or the bind mount comes into being without a place in the tree
// (fsopen(2), open_tree(2)), and gets its attributes; then it is attached at a descriptor that was opened inside the
// root (safe_path.h). So there is no moment at which it is writable where it should not be, no path that can be swapped
// between check and use, and no second call to remount it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"

namespace jigsaw::rootfs {

enum class MountKind { kFileSystem, kBind, kRecursiveBind };

struct Mount {
  std::string destination;           // where in the container: "/proc"
  std::string type;                  // "proc"; for a bind mount of no meaning
  std::string source;                // a path of the host for a bind mount, else whatever the type wants
  MountKind kind = MountKind::kFileSystem;
  std::vector<std::string> options;  // the file system's own: "size=64m", "mode=1777"
  uint64_t set = 0;                  // MOUNT_ATTR_* of this mount
  uint64_t clear = 0;
  uint64_t recursive_set = 0;        // of the mounts below it as well ("rro")
  uint64_t recursive_clear = 0;
  std::vector<uint64_t> propagation; // MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, each perhaps with MS_REC
  bool copy_up = false;              // a tmpfs that starts with what was in the directory ("tmpcopyup")
  bool keep_source_link = false;     // a bind source that is a link is mounted itself ("src-nofollow")
  int user_namespace = -1;           // an id-mapped mount: ids on disk are seen through this namespace's map
  bool id_map = false;               // it is asked for ("idmap", "ridmap"), perhaps without saying by which map
  bool id_map_recursive = false;
  int opened_source = -1;            // a bind source that was opened beforehand, then used instead of `source`
};

// Sorts the words of fstab(5) and of OCI's "options" into a Mount: "ro", "nosuid", "rbind", "rslave", "size=64m".
void apply_options(Mount& mount, const std::vector<std::string>& words);
// The words that apply_options() takes as flags, sorted: for `features`.
std::vector<std::string> known_options();

// The first half: the mount, not attached yet.
Fd make_mount(const Mount& mount);
// The second half: attaches it in `root`, making the destination where it is missing. proc, sysfs and
// the tmpfs of /dev go on a real directory only, never through a link (CVE-2019-19921, CVE-2026-41579).
void attach(int root, const Mount& mount, const Fd& made);
// Both, for a root that is attached in our mount namespace.
void attach(int root, const Mount& mount);

// The mounts that a container has unless it says otherwise: /proc, /dev with pts, shm and mqueue, /sys.
std::vector<Mount> default_mounts();

// Makes the mount at `path` in `root` read-only, or does nothing if there is no such path. Used for the root itself
// with "/".
void make_read_only(int root, const std::string& path);

}  // namespace jigsaw::rootfs
