// System calls by name, each one explained.
//
// A wrapper does three things: it makes the call, it tells --explain what was asked and what the kernel answered, and
// it throws an Error made of verb, object and errno text if the answer is no. Its last parameter says *why* the call
// is made, in a few words, at the place where it is made: the comment and the explanation are the same text.
//
// Mounts go through descriptors (fsopen, open_tree, move_mount) wherever a path could be changed under our hands.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

struct mount_attr;

namespace jigsaw::sys {

using Why = std::string_view;

// --- processes ------------------------------------------------------------------------------------------------

struct CloneArguments {
  uint64_t flags = 0;  // CLONE_NEW*, CLONE_INTO_CGROUP
  int cgroup = -1;     // descriptor of a cgroup v2 directory, with CLONE_INTO_CGROUP
};
struct Cloned {
  pid_t pid = 0;  // 0 in the child
  Fd pidfd;
};
// clone3(2) without a new stack: the child returns from here like after fork(2). spawn() is its only caller.
Cloned clone3(const CloneArguments& arguments, Why why);
// setns(2): enters the namespace behind `fd`; `kind` is one CLONE_NEW* flag.
void setns(int fd, int kind, std::string_view name, Why why);
void unshare(int flags, Why why);
// execve(2); returns only by throwing (126 if it is not executable, 127 if it is not there).
[[noreturn]] void execve(const std::string& path, const std::vector<std::string>& arguments,
                         const std::vector<std::string>& environment, Why why);
// pidfd_send_signal(2). A process that is gone is not an error: returns false.
bool send_signal(int pidfd, int signal, Why why);
bool kill(pid_t pid, int signal, Why why);
void setsid(Why why);
// prctl(2) by name, with up to four numbers.
int prctl(int option, std::string_view name, unsigned long value, Why why);

// --- mounts ---------------------------------------------------------------------------------------------------

struct MountArguments {
  std::string source = "none";
  std::string target;
  std::string type;  // "" -> NULL
  unsigned long flags = 0;
  std::string data;
};
void mount(const MountArguments& arguments, Why why);
void unmount(const std::string& target, int flags, Why why);
void pivot_root(const std::string& new_root, const std::string& put_old, Why why);

// A file system of its own, configured but not attached: fsopen(2), fsconfig(2) for each "key" or "key=value",
// FSCONFIG_CMD_CREATE, fsmount(2) with MOUNT_ATTR_* `attributes`. Attach it with move_mount().
Fd new_filesystem(const std::string& type, const std::string& source, std::span<const std::string> options,
                  uint64_t attributes, Why why);
// open_tree(2) with OPEN_TREE_CLONE: a copy of an existing mount, as a bind mount that is not attached yet.
// `recursive` copies the mounts below it too. The path is taken relative to `directory`.
enum class Depth { kThisMount, kRecursive };
Fd clone_mount(int directory, const std::string& path, Depth depth, Why why);
// Attaches `mount` at the place that `target` is open at.
void move_mount(int mount, int target, std::string_view target_name, Why why);
// mount_setattr(2) on the mount behind `fd` (AT_EMPTY_PATH).
struct MountAttributes {
  uint64_t set = 0;          // MOUNT_ATTR_*
  uint64_t clear = 0;
  uint64_t propagation = 0;  // MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE
  int user_namespace = -1;   // with MOUNT_ATTR_IDMAP
};
void mount_setattr(int fd, const MountAttributes& attributes, Depth depth, std::string_view name, Why why);

// --- files seen by a container ----------------------------------------------------------------------------------

struct OpenHow {
  int flags = 0;
  mode_t mode = 0;
  uint64_t resolve = 0;  // RESOLVE_*
};
Fd openat2(int directory, const std::string& path, const OpenHow& how, Why why);
// The same, but gives back no descriptor, with errno set, instead of throwing.
Fd try_openat2(int directory, const std::string& path, const OpenHow& how, Why why);
void mkdirat(int directory, const std::string& path, mode_t mode, Why why);
// The same, but gives back the errno (0: made) instead of throwing.
// `shown` is its path for people.
int try_mkdirat(int directory, const std::string& path, mode_t mode, std::string_view shown, Why why);
void mknodat(int directory, const std::string& path, mode_t mode, dev_t device, Why why);
void symlinkat(const std::string& target, int directory, const std::string& path, Why why);
void fchown(int fd, uid_t uid, gid_t gid, std::string_view name, Why why);
void fchmod(int fd, mode_t mode, std::string_view name, Why why);
// fsetxattr(2) of a value in text form on a file opened for reading.
void fsetxattr(int fd, const std::string& attribute, std::string_view value, std::string_view name, Why why);
// unlinkat(2) with AT_REMOVEDIR; gives back the errno (0: removed).
int try_rmdirat(int directory, const std::string& path, std::string_view shown, Why why);
void chdir(const std::string& path, Why why);
void chroot(const std::string& path, Why why);
void fchdir(int fd, std::string_view name, Why why);

// One write(2) of `text` to a kernel file (cgroup, id map, sysctl): those take a value in one piece or not at all.
// Throws with the file's name; error_number() is the kernel's answer.
void write_file(const std::string& path, std::string_view text, Why why);
void write_file_at(int directory, const std::string& path, std::string_view text, std::string_view shown, Why why);
// The same, but gives back the errno (0: written) instead of throwing.
int try_write_file(const std::string& path, std::string_view text, Why why);
int try_write_file_at(int directory, const std::string& path, std::string_view text, std::string_view shown, Why why);
// One write(2) to a kernel file that is open already.
void write_fd(int fd, std::string_view text, std::string_view shown, Why why);

// --- identity -------------------------------------------------------------------------------------------------

void sethostname(std::string_view name, Why why);
void setdomainname(std::string_view name, Why why);
void setresuid(uid_t uid, Why why);
void setresgid(gid_t gid, Why why);
void setgroups(std::span<const gid_t> groups, Why why);

}  // namespace jigsaw::sys
