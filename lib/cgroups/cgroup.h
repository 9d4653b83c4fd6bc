// Cgroup: one group of processes, in as many trees as the machine has. Creating one is mkdir(2) in each tree, limiting
// it is writing files there, leaving nothing behind is rmdir(2). See cgroups(7).
//
//     parent                                        child
//       Cgroup::create(layout, "/jigsaw-x")
//       apply(limits)
//       spawn({.cgroup = cgroup.unified()}, …) ----> is born in the v2 tree (CLONE_INTO_CGROUP)
//                                                    cgroup.join(): writes "0" into each v1 tree's `tasks`
//                                                    unshare(CLONE_NEWCGROUP), now that its root is right
//
// On v1 the child needs its cgroup only when it joins, so all but the v2 tree may also be made while the child is at its
// mounts; it is then sent what it joins by (joinable(), take_joinable()).
//
// The child joins by itself, through descriptors that were opened before: a pid written into cgroup.procs by another
// process makes the kernel wait 4 to 20 ms for all CPUs. A cgroup namespace must be made after join(), since it takes
// the cgroups of that moment as its root.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/fd.h"
#include "cgroups/layout.h"
#include "cgroups/limits.h"

namespace jigsaw::cgroups {

// A cgroup's directory in one tree.
struct Place {
  Hierarchy hierarchy;
  std::string directory;  // "/sys/fs/cgroup/memory/jigsaw-x"
  Fd fd;                  // O_PATH
  Fd tasks;               // v1: `tasks`, open for writing once the cgroup can be joined
};

struct CreateOptions {
  // Only the trees that hold these; empty: all trees. The v2 tree is always taken if there is one: it costs little and
  // cgroup.kill and CLONE_INTO_CGROUP need it.
  std::vector<std::string> controllers;
  // A cgroup that is there and holds processes: another's, or one that systemd made for us a moment ago.
  enum class Inhabited { kRefuse, kTake } inhabited = Inhabited::kRefuse;
};

class Cgroup {
 public:
  // Makes the directories, and those above them, and on v2 enables the controllers on the way down. What was made is
  // removed again if any of it fails.
  static Cgroup create(const Layout& layout, std::string_view path, const CreateOptions& options = {});
  // Where create() would make the directories.
  static Cgroup planned(const Layout& layout, std::string_view path);
  // The directories that are there; a cgroup that is nowhere has no places.
  static Cgroup open(const Layout& layout, std::string_view path);
  // The cgroups that a process is in now, whatever they are.
  static Cgroup of_process(const Layout& layout, pid_t pid);

  const std::string& path() const { return path_; }
  const std::vector<Place>& places() const { return places_; }
  // A cgroup that is in no tree: for a container that goes without.
  static Cgroup none(std::string_view path) { return Cgroup(std::string(path)); }
  bool exists() const { return !places_.empty(); }
  // The place that holds a controller ("memory", "io", …), or none.
  const Place* find(std::string_view controller) const;

  // Writes the limits. Throws one error that says which file refused what, and why.
  void apply(const Limits& limits) const;

  // Opens what join() needs; create() has done so already.
  void prepare_join();
  // The same cgroup in further trees.
  void add(Cgroup other);
  // What join() needs, for a process that has only planned() this cgroup; and there, what it was given.
  std::vector<int> joinable() const;
  void take_joinable(std::vector<Fd> tasks);
  // In the child: enters the v1 trees.
  void join() const;
  // The v2 directory for SpawnOptions::cgroup, -1 if there is none.
  int unified() const;
  // Moves a process that runs already: slow, see above.
  void move(pid_t pid) const;

  // Processes in it and in the cgroups below, in no order. Pids are those of our pid namespace.
  std::vector<pid_t> processes() const;
  // Returns when all of them stand still, or run again. Throws if they don't within the time.
  void freeze(std::chrono::milliseconds patience = std::chrono::seconds(10)) const;
  void thaw() const;
  bool frozen() const;
  // Sends `signal` to all of them; none can escape by forking meanwhile.
  void signal_all(int signal) const;
  // SIGKILL to all of them, by cgroup.kill where there is one. Returns when none is left, throws if one stays.
  void kill(std::chrono::milliseconds patience = std::chrono::seconds(10)) const;

  // Removes the directories with the cgroups below them, waiting while the last processes are on their way out. Those
  // above stay: they may be another's. Nothing there is no error.
  void remove(std::chrono::milliseconds patience = std::chrono::seconds(5));
  // kill() and remove(), at the cost of the latter alone if nothing is in it any more.
  void clear();

 private:
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  std::string path_;
  std::vector<Place> places_;
};

// For a journal's record "cgroup PATH": kills what is still in it and removes it. Nothing there is no error.
void undo_cgroup(const std::string& path);

// Cgroups directly below the roots of the trees whose names begin with `prefix`: what a killed program left.
std::vector<std::string> find_cgroups(const Layout& layout, std::string_view prefix);

}  // namespace jigsaw::cgroups
