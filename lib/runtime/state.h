// State: what is known of a container between two calls of the runtime, a JSON file:
//
//     <state root>/ID             the state; who holds its flock is the only one to change the container
//     <state root>/.start-INODE   the start gate of a created container (start_socket.h)
//     <state root>/.filter-INODE  its compiled seccomp filter, for the programs that exec() adds
//     <state root>/.seccomp/      compiled filters of all, by their rules
//
// INODE is the number of the state's inode: short, whatever the id (a socket's path is 107 bytes at most), and no other's.
// The file is made first, exclusively, and removed last; it is 0600 and its name is checked, so that an id can be no path.
// A pid alone would be a promise to whoever gets that number next: its start time is kept with it.
//
// It is written before anything of the container is made. What changes later, its progress, has a fixed width and stands at
// the beginning, so that it is changed in place: new files, and still more directories, are what costs most on a disk.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/files.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {

enum class Status { kCreating, kCreated, kRunning, kPaused, kStopped };
std::string_view name(Status status);  // "creating", …

struct State {
  std::string id;
  std::string version;            // of the specification that its config.json names
  std::string bundle;
  std::string rootfs;             // path, for people
  pid_t pid = 0;                  // the first process; 0 before it was made
  uint64_t pid_start = 0;         // its start time in clock ticks after boot
  bool created = false;           // creation came to its end
  bool started = false;           // the gate was opened
  std::string cgroup;             // path below the trees' roots; "": none, for want of privilege
  bool systemd = false;           // the cgroup is a scope of systemd's
  std::chrono::system_clock::time_point when;
  std::string owner;              // name of the user who made it
  std::map<std::string, std::string> annotations;
  std::vector<Hook> poststart;
  std::vector<Hook> poststop;
  uint64_t namespaces = 0;        // kinds that are not the host's
  bool filtered = false;          // there is a filter beside the state
  std::string listener_path;      // of the seccomp agent's socket; "": none
  std::string listener_metadata;
};

// Throws unless `id` is 1-255 letters, digits and any of "_+-." and neither "." nor "..".
void check_id(std::string_view id);

// A container's state, opened. Holding `lock` means being the only one to change it.
class StateFile {
 public:
  // Throws if the id is in use.
  static StateFile make(const std::string& state_root, const std::string& id);
  // Throws if there is no such container.
  static StateFile open(const std::string& state_root, const std::string& id);
  static std::optional<StateFile> find(const std::string& state_root, const std::string& id);

  void lock();      // throws if the container was removed meanwhile
  bool lock_if_exists();
  bool try_lock();  // false if another process holds it, or it was removed
  void unlock();
  // In a child, which has a share in the lock from its parent: gives it up without unlocking.
  void forget() { fd_.reset(); }
  // Nothing if the container was never recorded: its creator died too early.
  std::optional<State> try_load() const;
  State load() const;
  void save(const State& state) const;  // in place: filled up with spaces if it was longer
  // Of a saved state: pid, pid_start, created and started.
  void save_progress(const State& state) const;
  void remove();

  const std::string& root() const { return root_; }
  const std::string& id() const { return id_; }
  std::string path() const;
  // The path of another file of this container, "start" or "filter".
  std::string beside(std::string_view what) const;

 private:
  StateFile(std::string root, std::string id, Fd fd) : root_(std::move(root)), id_(std::move(id)), fd_(std::move(fd)) {}
  struct stat status() const;
  bool exists() const;
  std::string root_;
  std::string id_;
  Fd fd_;
};

// Where states are kept if nobody says so: /run/jigsaw-oci, or below $XDG_RUNTIME_DIR for other users than root.
std::string default_state_root();
// The ids below `state_root`, sorted.
std::vector<std::string> list_ids(const std::string& state_root);

// What it is doing now, by asking the kernel.
Status status_of(const State& state);
// The first process, if it is alive and still the same one.
std::optional<Fd> open_process(const State& state);
// Start time of a process in clock ticks after boot, 0 if there is none; 0 for a zombie too.
uint64_t start_time(pid_t pid);

// The JSON that `state` prints and hooks read on stdin (runtime.md, "State").
std::string state_json(const State& state, Status status);

}  // namespace jigsaw::runtime
