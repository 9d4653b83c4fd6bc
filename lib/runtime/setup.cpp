#include "runtime/setup.h"

#include <sched.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/sys.h"
#include "namespaces/loopback.h"
#include "process/exec.h"
#include "runtime/console.h"
#include "runtime/hooks.h"
#include "runtime/identity.h"
#include "runtime/join.h"
#include "runtime/kernel_settings.h"
#include "runtime/root.h"
#include "runtime/start_socket.h"

namespace jigsaw::runtime {
namespace {

void join_cgroup(const Prepared& prepared, process::Gate& gate) {
  if (prepared.cgroup_meanwhile) {
    prepared.cgroup->take_joinable(gate.wait());
  }
  if (prepared.cgroup != nullptr) {
    prepared.cgroup->join();
  }
  if (prepared.spec.has_new(CLONE_NEWCGROUP)) {
    sys::unshare(CLONE_NEWCGROUP, "a view of the cgroup tree whose root is where we are now");
  }
}

// Its descriptors are directories of the host: they do not wait with us for the start.
void forget_cgroup(const Prepared& prepared) {
  if (prepared.cgroup != nullptr) {
    *prepared.cgroup = cgroups::Cgroup::none("");
  }
}

StateText hook_state(const Prepared& prepared) {
  return [&prepared] {
    State state = prepared.state;
    state.pid = ::getpid();
    return state_json(state, Status::kCreating);
  };
}

void announce_to_agent(const Prepared& prepared, pid_t pid, int listener) {
  State state = prepared.state;
  state.pid = pid;
  announce(*prepared.listener, process_state(*prepared.listener, state, Status::kCreating, pid), listener);
}

}  // namespace

void become_container(const Prepared& prepared, process::Gate& gate) {
  const Spec& spec = prepared.spec;
  const Process* process = spec.process ? &*spec.process : nullptr;
  pid_t pid = prepared.listener ? pid_outside() : 0;

  sys::setsid("the container does not share the session, and so not the terminal, of its caller");
  if (spec.has(CLONE_NEWUSER)) {
    become_root_of_user_namespace();
  }
  set_clocks(spec);  // before the mounts: a /proc that is joined with them may be what others made of it
  enter_mount_namespace(prepared.joined);
  ::umask(022);  // what is made inside for others to see is not hidden from them, whatever our caller's umask
  set_names(spec);
  if (spec.has_new(CLONE_NEWNET)) {
    namespaces::bring_up_loopback();
  }
  configure_net_devices(prepared.net_devices);

  Root root = make_root(prepared);
  mount_all(root, prepared);
  write_sysctls(spec);
  if (!spec.hooks.prestart.empty() || !spec.hooks.create_runtime.empty()) {
    gate.reach(kStopRuntimeHooks);
  }
  make_devices(root, prepared);
  run_hooks(spec.hooks.create_container, hook_state(prepared), {"createContainer", prepared.surroundings.bundle});
  join_cgroup(prepared, gate);
  mount_cgroups(root, prepared);
  forget_cgroup(prepared);
  Console console = open_console(root.fd(), process, prepared.own_mounts ? ShowConsole::kYes : ShowConsole::kNo);
  protect(root, prepared);
  enter(root, prepared);

  if (prepared.entered_last != nullptr) {
    namespaces::enter(*prepared.entered_last);
  }
  std::vector<int> handed_over;
  Program program;
  if (process != nullptr) {
    console.become_standard_streams();
    new_keyring(prepared.surroundings);
    if (prepared.entered_last == nullptr) {
      set_labels(*process);
    }
    program = become_user(*process, spec, prepared.filter);
  }
  if (prepared.start_socket || prepared.entered_last != nullptr) {
    hide_environment();
  }
  static const std::optional<security::SeccompProgram> loaded;
  const std::optional<security::SeccompProgram>* filter = &prepared.filter;
  if (prepared.entered_last != nullptr) {
    pid = gate.go_on_in_successor("the pid namespace is entered by being born in it");
    sys::setsid("the container does not share the session of a process that is gone");
    if (process != nullptr) {
      set_labels(*process);
    }
  }
  if (process != nullptr) {
    console.become_controlling_terminal();
    handed_over = console.master_if_any();
    if (prepared.entered_last != nullptr && load_filter_early(*process, spec, prepared.filter)) {
      filter = &loaded;
    }
  }
  gate.reach(kStopCreated, handed_over);
  console.close_master();

  wait_for_start(prepared.start_socket, gate);
  if (process == nullptr) {
    throw fail("the container has no process to start: its config.json names none");
  }
  if (prepared.dies_with_parent) {
    die_with_parent();
  }
  run_hooks(spec.hooks.start_container, hook_state(prepared), {"startContainer", "", HookStage::Where::kContainer});
  become_program(*process, program, *filter,
                 [&](int listener) { announce_to_agent(prepared, pid, listener); }, prepared.surroundings.preserve_fds);
}

}  // namespace jigsaw::runtime
