// Container: the life of one, as the OCI runtime specification tells it (runtime.md):
//
//     create ──► created ──start──► running ──(the program ends)──► stopped ──delete──► nothing is left
//                   └───────────────── kill ───────────────────────────┘
//
// create() makes everything and stops just before the program; start() opens the gate from another process, through a
// socket beside the container's state; run() does all of it in one process without a stop on the way.
// What is made is recorded in the state before it is made, so that remove() finds it whatever happened.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cgroups/cgroup.h"
#include "process/signals.h"
#include "process/status.h"
#include "rootfs/pivot.h"
#include "runtime/spec.h"
#include "runtime/state.h"

namespace jigsaw::runtime {

enum class CgroupDriver { kFiles, kSystemd };

// What the caller of the runtime decides, beside the spec.
struct Surroundings {
  std::string state_root;           // a directory with one below it for each container: "/run/jigsaw-oci"
  std::string id;
  std::string bundle;               // where root_path and hooks start; "" if they are absolute
  std::string pid_file;             // "": none
  std::string console_socket;       // where the terminal's master is sent; "": see run()
  std::string pidfd_socket;         // where a descriptor of the first process is sent
  int preserve_fds = 0;             // descriptors 3 … 3+n-1 that the program may inherit
  CgroupDriver cgroup_driver = CgroupDriver::kFiles;
  rootfs::RootChange root_change = rootfs::RootChange::kPivot;
  enum class Keyring { kNew, kInherit } keyring = Keyring::kNew;
  // Runs in the child, in its new mount namespace (and user namespace), and gives the root file system as a mount that
  // is not attached yet; without it spec.root_path is bound. So an overlay appears only inside the container.
  std::function<Fd()> root_mount;
  // Runs in the parent between the clone and the child's set-up: networks, names, whatever needs the pid.
  std::function<void(pid_t pid)> while_waiting;
};

// Makes it; the program waits. Everything made is removed again if any of it fails.
State create(const Spec& spec, const Surroundings& surroundings);
// Lets the program of a created container run. Returns when it was executed, throws if it could not be.
void start(const std::string& state_root, const std::string& id);

struct RunOptions {
  // kForeground: signals are handed on, the program dies with us (even of our SIGKILL), and nothing is left at the end.
  // kDetached: returns once the program runs.
  enum class Mode { kForeground, kDetached } mode = Mode::kForeground;
  bool keep = false;  // do not remove the container at the end
  // In the foreground: kEnd kills the program where SIGINT, SIGTERM and the like would be handed on to it.
  process::SuperviseOptions::Requests requests = process::SuperviseOptions::Requests::kHandOn;
  // Called in the parent before the program runs: what it does is seen only after this. If the child then fails to make the
  // container, run() throws.
  std::function<void(const State&)> starting;
};
// create, start, and wait. With a terminal and no console socket, our stdin and stdout are relayed to it.
// Gives the exit status, or code 0 if detached. `oom`, if given, is filled with a notice if the kernel killed for memory.
process::ExitStatus run(const Spec& spec, const Surroundings& surroundings, const RunOptions& options = {},
                        std::optional<std::string>* oom = nullptr);

struct ExecOptions {
  std::string state_root;
  std::string id;
  std::string pid_file;
  std::string console_socket;
  std::string pidfd_socket;
  int preserve_fds = 0;
  std::string cgroup;  // a cgroup below the container's
  enum class IfPaused { kRefuse, kWait } if_paused = IfPaused::kRefuse;  // kWait: it starts once the container goes on
  RunOptions::Mode mode = RunOptions::Mode::kForeground;
};
// Runs a further program in a running container.
process::ExitStatus exec(const Process& process, const ExecOptions& options);

// What it is doing now: status_of(), or paused if its cgroup is frozen.
Status current_status(const State& state);

enum class Reach { kInit, kAll };
// Sends a signal to the first process, or to all of them. Throws if the container does not run.
void kill(const std::string& state_root, const std::string& id, int signal, Reach reach = Reach::kInit);
void pause(const std::string& state_root, const std::string& id);
void resume(const std::string& state_root, const std::string& id);
// Whether a container gets a cgroup, and so can be limited: without privilege there may be no place for one.
bool can_limit();
void update(const std::string& state_root, const std::string& id, const cgroups::Limits& limits);
std::vector<pid_t> processes(const std::string& state_root, const std::string& id);

enum class Force { kNo, kYes };
// Removes a stopped container with its cgroup and state, and runs its poststop hooks. With force it is killed first, and
// one that is half made, half removed or gone is no error.
void remove(const std::string& state_root, const std::string& id, Force force = Force::kNo);
// Removes the containers below `state_root` whose creation was cut off by the death of their creator. Gives their ids.
std::vector<std::string> sweep(const std::string& state_root);

}  // namespace jigsaw::runtime
