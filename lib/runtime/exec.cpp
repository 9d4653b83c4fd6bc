#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "namespaces/enter.h"
#include "process/signals.h"
#include "process/terminal.h"
#include "runtime/console.h"
#include "runtime/container.h"
#include "runtime/container_cgroup.h"
#include "runtime/create.h"
#include "runtime/identity.h"
#include "runtime/kernel_settings.h"
#include "runtime/kernel_check.h"
#include "runtime/own_binary.h"
#include "runtime/root.h"
#include "runtime/scheduling.h"
#include "runtime/setup.h"

namespace jigsaw::runtime {
namespace {

struct Target {
  State state;
  Fd process;                    // the container's first process
  Fd root;                       // its root, if it is in our mount namespace: entering that changes nothing
  uint64_t namespaces = 0;       // kinds to enter
  cgroups::Cgroup cgroup;
  std::optional<security::SeccompProgram> filter;
  std::optional<Listener> listener;
  Pipe pid;                      // brings the new process its pid outside, for the listener
};

void announce(const Target& target, int listener) {
  pid_t pid = 0;
  check(::read(target.pid.read_end.get(), &pid, sizeof pid), "read our pid");
  announce(*target.listener, process_state(*target.listener, target.state, Status::kRunning, pid), listener);
}

Target find_target(const ExecOptions& options) {
  const StateFile file = StateFile::open(options.state_root, options.id);
  State state = file.load();
  auto process = open_process(state);
  if (!process || !state.created) {
    throw fail("container {} is not running", options.id);
  }
  const cgroups::Layout layout = cgroups::read_layout();
  cgroups::Cgroup cgroup = cgroup_of(state, layout);
  if (options.if_paused == ExecOptions::IfPaused::kRefuse && state.started && cgroup.exists() && cgroup.frozen()) {
    throw fail("container {} is paused", options.id);
  }
  const std::string pid = std::to_string(state.pid);
  // One that was joined by its path may be ours. To enter it again does no harm, but for a mount namespace, where "/" would
  // be another, and a user namespace, where it is an error.
  constexpr uint64_t kHarmless = CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
  const uint64_t set = namespaces::differing(pid, ::geteuid() == 0 ? state.namespaces & kHarmless : 0);
  Fd root = (set & CLONE_NEWNS) == 0 ? files::open(fmt::format("/proc/{}/root", pid), O_PATH | O_DIRECTORY) : Fd();
  // Asked again: what was looked up by number belongs to this process only if it is still alive.
  if (!open_process(state)) {
    throw fail("container {} is not running", options.id);
  }
  if (state.cgroup.empty() && !options.cgroup.empty()) {
    throw fail("container {} has no cgroup, and so none below it", options.id);
  }
  if (!options.cgroup.empty()) {
    cgroup = cgroups::Cgroup::open(layout, state.cgroup + "/" + options.cgroup);
  }
  if (!cgroup.exists() && !state.cgroup.empty()) {
    throw fail("cgroup {} of the container does not exist", options.cgroup.empty() ? state.cgroup : options.cgroup);
  }
  cgroup.prepare_join();
  auto listener = connect_listener(state.listener_path, state.listener_metadata);
  Pipe announced = listener ? make_pipe() : Pipe();
  auto filter = load_filter(file, state);
  return {std::move(state), std::move(*process), std::move(root), set, std::move(cgroup), std::move(filter), std::move(listener),
          std::move(announced)};
}

// In the process that goes ahead: the program's own is born with all of it entered. Until then it would have the host's
// root and our descriptors for whoever looks at it in the container's /proc, and some may (CAP_SYS_PTRACE).
void lead_into(Target& target, const Process& process) {
  prepare_process(process, ::getpid());  // first: what can't be looked into can't be written to by its own user either
  set_affinity(process.affinity.initial);
  target.cgroup.join();
  namespaces::enter_those_of(target.process.get(), target.namespaces);
  if (target.root) {
    enter_by_chroot(target.root.get());
  }
  if ((target.namespaces & CLONE_NEWUSER) != 0) {
    become_root_of_user_namespace();
  }
  sys::prctl(PR_SET_DUMPABLE, "PR_SET_DUMPABLE", 0, "no process of the container may look into the one that is to come");
  hide_environment();
  target.process.reset();
  target.root.reset();
  target.cgroup = cgroups::Cgroup::none("");
}

[[noreturn]] void become_process(const Target& target, const Process& process, const ExecOptions& options, process::Gate& gate) {
  sys::setsid("the program does not share the session of its caller");
  set_affinity(process.affinity.final);
  Console console = open_console_inside(process);
  console.become_standard_streams();
  console.become_controlling_terminal();
  new_keyring({});
  set_labels(process);
  const Program program = become_user(process, {}, target.filter);
  gate.reach(kStopCreated, console.master_if_any());
  console.close_master();
  if (options.mode == RunOptions::Mode::kForeground) {
    die_with_parent();
  }
  become_program(process, program, target.filter, [&](int listener) { announce(target, listener); }, options.preserve_fds);
}

// cgroup v2 lets nobody into a cgroup that hands controllers on to others below it. A first process that manages cgroups
// itself, as systemd does, has left the container's for one of these: there is room beside it.
cgroups::Cgroup beside_first(const State& state) {
  cgroups::Cgroup beside = cgroups::Cgroup::of_process(cgroups::read_layout().only(cgroups::Version::kV2), state.pid);
  if (!beside.path().starts_with(state.cgroup + "/")) {
    throw fail("no process can be added to the cgroup {} of container {}, and its first process is in none below it", state.cgroup, state.id);
  }
  if (beside.frozen()) {  // by itself, perhaps: a process that is born there would never answer
    throw fail("container {} is paused", state.id);
  }
  return beside;
}

process::Child spawn_into(Target& target, const Process& process, const ExecOptions& options) {
  const auto spawn = [&](int cgroup) {
    return process::spawn({.cgroup = cgroup, .by_way_of = [&] { lead_into(target, process); }, .why = "a further process for the container"},
                          [&](process::Gate& gate) -> int { become_process(target, process, options, gate); });
  };
  try {
    return spawn(target.cgroup.unified());
  } catch (const Error& error) {
    if (error.error_number() != EBUSY || !options.cgroup.empty() || target.cgroup.unified() < 0) {
      throw;
    }
  }
  return spawn(beside_first(target.state).unified());
}

void hand_out(const ExecOptions& options, const process::Child& child) {
  if (!options.pid_file.empty()) {
    files::replace(options.pid_file, std::to_string(child.pid()), {.mode = 0644, .sync = false});
  }
  if (!options.pidfd_socket.empty()) {
    send_console(options.pidfd_socket, child.pidfd());
  }
}

}  // namespace

process::ExitStatus exec(const Process& process, const ExecOptions& options) {
  tell_of_own_binary();
  validate(process);
  check_against_kernel(process);
  const bool foreground = options.mode == RunOptions::Mode::kForeground;
  if (process.terminal && options.console_socket.empty() && !foreground) {
    throw Error("the process wants a terminal, but nobody takes it", "give --console-socket");
  }
  std::optional<process::SignalGuard> guard;
  if (foreground) {
    guard.emplace();
  }
  Target target = find_target(options);
  process::Child child = spawn_into(target, process, options);
  if (target.listener) {
    const pid_t pid = child.pid();
    check(::write(target.pid.write_end.get(), &pid, sizeof pid), "tell the program's process its pid");
  }
  child.release();
  const bool told = !options.pid_file.empty() || !options.pidfd_socket.empty() || !options.console_socket.empty();
  if (!told) {
    child.release();  // from the stop it comes to: nobody is told of the process before its program runs
  }
  std::vector<Fd> handed_over = child.wait_reached(kStopCreated);
  Fd terminal = handed_over.empty() ? Fd() : std::move(handed_over.front());
  if (terminal && !options.console_socket.empty()) {
    send_console(options.console_socket, terminal.get());
    terminal.reset();
  }
  if (told) {
    hand_out(options, child);
    child.release();
  }
  child.wait_started();
  if (!foreground) {
    child.detach();
    return {};
  }
  if (!terminal) {
    return process::supervise(child);
  }
  const process::RawMode raw(0);
  process::copy_window_size(0, terminal.get());
  return process::supervise(child, {.terminal = terminal.get()});
}

}  // namespace jigsaw::runtime
