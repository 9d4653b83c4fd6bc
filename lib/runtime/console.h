// Console: the container's side of a pseudo-terminal. The pair is made from the devpts that is mounted in the
// container, so that the terminal's name (/dev/pts/0) means something there. The slave is opened through the master
// (TIOCGPTPEER), never by a path that the container could have swapped (CVE-2025-52565); the master is handed to the
// parent, which sends it to whoever wants to talk to the program.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {

class Console {
 public:
  Console() = default;
  Console(Fd master, Fd slave) : master_(std::move(master)), slave_(std::move(slave)) {}
  // Makes it stdin, stdout and stderr. Nothing without a terminal.
  void become_standard_streams();
  // Makes it the terminal of our session.
  void become_controlling_terminal();
  std::vector<int> master_if_any() const;
  void close_master() { master_.reset(); }
  int slave() const { return slave_.get(); }

 private:
  Fd master_;
  Fd slave_;
};

enum class ShowConsole { kNo, kYes };
// If the process wants a terminal: a pair from `root`'s /dev/pts, owned by the process's user and shown as /dev/console
// too if something may be mounted there.
Console open_console(int root, const Process* process, ShowConsole show);
// The same for a process that is added to a running container, whose root is our root already.
Console open_console_inside(const Process& process);

// Sends a terminal's master over the socket at `path`, as `--console-socket` asks (SCM_RIGHTS).
void send_console(const std::string& path, int master);

}  // namespace jigsaw::runtime
