// Journal: everything that a run makes outside of itself is written down before it is made.
//
// A program that is killed with SIGKILL cleans up nothing: its mounts, cgroups, links, directories and children stay.
// So each run keeps a record, a file of one line an object, and holds a lock on it (flock(2)). The kernel lets go of the
// lock when the process dies, whatever it dies of: a record that nobody holds is the will of a dead run, and the next
// run carries it out.
//
//     run 1   lock record │ note "cgroup /jigsaw/a" │ mkdir … │ note … │ SIGKILL
//     run 2                                                            sweep: lock is free, rmdir /jigsaw/a, unlink
//
// What a run notes must be undoable when it was never made, was half made, or is gone already: each kind's Undo
// treats absence as success.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace jigsaw::journal {

// Undoes one object of a kind; throws if it is still there afterwards.
using Undo = std::function<void(const std::string& what)>;
// "directory" -> …: what a program can undo. Pieces add their own ("cgroup", "link").
using Kinds = std::map<std::string, Undo, std::less<>>;

// The kinds that need no piece:
//   directory PATH        removed with all it holds, crossing no mount
//   file PATH             removed
//   mount PATH            detached
//   process PID:START     killed if it is still the same process (see process_name())
Kinds common_kinds();
// "4711:8812345": a pid and when the process started, in clock ticks after boot; a reused pid does not match.
// "" if there is no such process.
std::string process_name(pid_t pid);

// Where the runs of the steps keep their records: /run/jigsaw/records; for other users than root below
// $XDG_RUNTIME_DIR/jigsaw, or /tmp/jigsaw-<uid>. A `run_root` that is not "" stands in the place of these.
std::string directory_for(const std::string& run_root);

struct Found {
  std::string kind;
  std::string what;
  std::string problem;  // why it could not be undone; "" if it was
};

// The record of this run. Destruction undoes what is still noted, the last first, and removes the file: the good end
// and the bad end of a run clean up by the same code. A child made by clone inherits the lock until it executes a
// program; its copy of this object undoes nothing.
class Record {
 public:
  // Makes `directory` (0700) if needed and sweeps what dead runs left there (what it can't, with a warning). `kinds`
  // must know every kind that is noted.
  Record(const std::string& directory, Kinds kinds);
  ~Record();
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

  // Call before making it.
  void note(std::string_view kind, std::string_view what);
  // It is gone by other means, or belongs to somebody else now.
  void forget(std::string_view kind, std::string_view what);
  // For a child that lives on without executing a program: drops its copy of the lock, which would outlive the run.
  void leave_to_parent();
  // Undoes everything now; what could not be undone stays in the file for a later sweep and is returned.
  std::vector<Found> undo();

 private:
  void write(char sign, std::string_view kind, std::string_view what);
  Kinds kinds_;
  std::string path_;
  Fd file_;
  std::vector<Found> noted_;
  pid_t owner_;
};

// Carries out the records in `directory` that no living process holds. Returns what they held. A record with something
// that can't be undone stays for the next time.
std::vector<Found> sweep(const std::string& directory, const Kinds& kinds);
// For people, a line for each: "process 4711:8812345: undone".
std::string report(const std::vector<Found>& found);

}  // namespace jigsaw::journal
