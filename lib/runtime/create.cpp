#include "runtime/create.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"
#include "runtime/console.h"
#include "runtime/container_cgroup.h"
#include "runtime/hooks.h"
#include "runtime/id_mapped.h"
#include "runtime/root.h"
#include "runtime/scope.h"
#include "runtime/setup.h"
#include "runtime/join.h"
#include "runtime/kernel_check.h"
#include "runtime/own_binary.h"
#include "runtime/start_socket.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace jigsaw::runtime {
namespace {

void check_root(const Spec& spec, const Surroundings& surroundings) {
  if (surroundings.root_mount) {
    return;
  }
  if (spec.root_path.empty()) {
    throw Error("root.path is missing in config.json");
  }
  open_root(spec, surroundings.bundle);
}

State first_state(const Spec& spec, const Surroundings& surroundings, const std::string& cgroup) {
  State state;
  state.id = surroundings.id;
  state.version = spec.version;
  state.bundle = surroundings.bundle;
  state.rootfs = surroundings.root_mount ? "" : root_path(spec, surroundings.bundle);
  state.cgroup = cgroup;
  state.systemd = surroundings.cgroup_driver == CgroupDriver::kSystemd;
  state.when = std::chrono::system_clock::now();
  state.owner = ::geteuid() == 0 ? "root" : std::to_string(::geteuid());
  state.annotations = spec.annotations;
  state.poststart = spec.hooks.poststart;
  state.poststop = spec.hooks.poststop;
  for (const Namespace& each : spec.namespaces) {
    state.namespaces |= each.kind;
  }
  if (spec.seccomp && spec.process) {
    state.filtered = true;
    state.listener_path = spec.seccomp->listener_path;
    state.listener_metadata = spec.seccomp->listener_metadata;
  }
  return state;
}

// Namespaces made by the clone: all new ones but those that depend on something that comes later, the cgroup we join and
// the offsets of clocks.
uint64_t clone_flags(const Spec& spec) {
  uint64_t flags = 0;
  for (const Namespace& each : spec.namespaces) {
    flags |= each.path.empty() ? each.kind : 0;
  }
  flags &= ~uint64_t{CLONE_NEWCGROUP};
  return spec.time_offsets.empty() ? flags : flags & ~uint64_t{CLONE_NEWTIME};
}

std::optional<security::SeccompProgram> compile_filter(const Spec& spec, const Surroundings& surroundings,
                                                       const StateFile& file) {
  if (!spec.seccomp || !spec.process) {
    return std::nullopt;
  }
  if (spec.annotation("run.oci.seccomp_fail_unknown_syscall") == "1") {
    security::require_known(*spec.seccomp);
  }
  security::SeccompProgram program = security::compile(*spec.seccomp, surroundings.state_root + "/.seccomp");
  // exec() adds programs to the container that the same filter holds for.
  security::save(program, file.beside("filter"));
  return program;
}

void write_pid_file(const std::string& path, pid_t pid) {
  if (!path.empty()) {
    files::replace(path, std::to_string(pid), {.mode = 0644, .sync = false});
  }
}

// Removes what was made of a container if its making does not come to a good end.
class Undo {
 public:
  Undo(StateFile& file, cgroups::Cgroup* cgroup) : file_(file), cgroup_(cgroup) {}
  ~Undo() {
    if (!active_) {
      return;
    }
    try {
      cgroup_->clear();
      if (!scope_.empty()) {
        end_scope(scope_);
      }
      file_.remove();
    } catch (const Error& error) {
      log::warning("not all was cleaned up: {}", error.message());
    }
  }
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  void has_scope(std::string path) { scope_ = std::move(path); }
  void done() { active_ = false; }

 private:
  StateFile& file_;
  cgroups::Cgroup* cgroup_;
  std::string scope_;  // of systemd's, if there is one
  bool active_ = true;
};

}  // namespace

void prepare_process(const Process& process, pid_t pid) {
  if (process.oom_score_adj) {
    const int number = sys::try_write_file(fmt::format("/proc/{}/oom_score_adj", pid), std::to_string(*process.oom_score_adj),
                                           "how soon this process is killed when the machine runs out of memory");
    if (number == EACCES) {
      log::warning("oom_score_adj can't be lowered to {} here (CAP_SYS_RESOURCE is missing): it stays as it is", *process.oom_score_adj);
    } else if (number != 0) {
      throw system_error(number, fmt::format("set oom_score_adj to {}", *process.oom_score_adj));
    }
  }
}

std::optional<security::SeccompProgram> load_filter(const StateFile& file, const State& state) {
  if (!state.filtered) {
    return std::nullopt;
  }
  auto filter = security::load_saved(file.beside("filter"));
  if (!filter) {  // without it a program would be let in unfiltered
    throw fail("the seccomp filter of container {} is missing or damaged: {}", state.id, file.beside("filter"));
  }
  return filter;
}

// Whether the program may start as soon as the child has made the container: all that we do before is done while the child is at
// it, and the two need not wait for each other. Not if anybody else looks at what was created, or is told of it, which must not
// happen before it has come about.
bool starts_straight_on(const Spec& spec, const Surroundings& surroundings, Starting starting) {
  const bool told = !surroundings.pid_file.empty() || !surroundings.pidfd_socket.empty() || !surroundings.console_socket.empty();
  const bool has_hooks = !spec.hooks.prestart.empty() || !spec.hooks.create_runtime.empty();
  return starting != Starting::kLater && !told && !has_hooks && spec.process && !spec.process->oom_score_adj;
}

namespace {

// What can be known to fail before anything is made.
void check_all(const Spec& spec, const Surroundings& surroundings, Starting starting) {
  validate(spec);
  check_id(surroundings.id);
  check_root(spec, surroundings);
  check_against_kernel(spec);
  if (spec.process && spec.process->terminal && surroundings.console_socket.empty() && starting == Starting::kLater) {
    throw Error("process.terminal is true, but nobody takes the terminal", "give --console-socket");
  }
}

// The parent's side, from the record to the child that has made the container.
class Making {
 public:
  using AboutToStart = std::function<void(const State&)>;
  Making(const Spec& spec, const Surroundings& surroundings, Starting starting, const AboutToStart& about_to_start);

  Made finish() {
    record();
    make_cgroup();
    prepare();
    process::Child child = spawn();
    note_child(child);
    prepare_surroundings(child);
    child.release();
    make_rest_of_cgroup(child);
    run_runtime_hooks(child);
    follow_successor(child);
    Fd terminal = let_start(child);
    undo_->done();
    return Made{std::move(file_), std::move(state_), std::move(cgroup_), std::move(child), std::move(terminal)};
  }

 private:
  void record();
  void make_cgroup();
  void prepare();
  process::Child spawn();
  void note_child(const process::Child& child);
  void prepare_surroundings(process::Child& child);
  void make_rest_of_cgroup(process::Child& child);
  void run_runtime_hooks(process::Child& child);
  void follow_successor(process::Child& child);
  Fd let_start(process::Child& child);

  bool has_runtime_hooks() const { return !spec_.hooks.prestart.empty() || !spec_.hooks.create_runtime.empty(); }
  bool goes_straight_on() const;
  void note_pid(const process::Child& child);
  void record_start(const process::Child& child);

  const Spec& spec_;
  const Surroundings& surroundings_;
  const Starting starting_;
  const AboutToStart& about_to_start_;
  const cgroups::Layout layout_ = cgroups::read_layout();
  const bool systemd_ = surroundings_.cgroup_driver == CgroupDriver::kSystemd;
  const cgroups::Scope scope_ = systemd_ ? scope_of(spec_, surroundings_) : cgroups::Scope();
  const std::string path_ = systemd_ ? scope_.path : cgroup_path(spec_, surroundings_, layout_);
  const bool without_cgroup_ = !systemd_ && goes_without_cgroup(spec_, layout_, path_);
  const bool meanwhile_ = !systemd_ && !without_cgroup_ && made_meanwhile(spec_, layout_);
  State state_ = first_state(spec_, surroundings_, without_cgroup_ ? "" : path_);
  StateFile file_ = StateFile::make(surroundings_.state_root, surroundings_.id);
  cgroups::Cgroup cgroup_ = cgroups::Cgroup::none(path_);
  std::optional<Undo> undo_;
  cgroups::Cgroup planned_ = cgroups::Cgroup::none(path_);  // where the child finds what is made meanwhile
  Prepared prepared_{.spec = spec_, .surroundings = surroundings_};
};

Making::Making(const Spec& spec, const Surroundings& surroundings, Starting starting, const AboutToStart& about_to_start)
    : spec_(spec), surroundings_(surroundings), starting_(starting), about_to_start_(about_to_start) {}

void Making::record() {
  file_.lock();
  if (const auto taken = without_cgroup_ ? std::nullopt : why_taken(layout_, path_)) {
    file_.remove();
    throw fail("the cgroup {} {}", path_, *taken);
  }
  undo_.emplace(file_, &cgroup_);
  file_.save(state_);
}

void Making::make_cgroup() {
  if (meanwhile_) {
    planned_ = cgroups::Cgroup::planned(layout_, path_);
    if (layout_.unified() != nullptr) {
      cgroup_ = cgroups::Cgroup::create(layout_.only(cgroups::Version::kV2), path_);
    }
  } else if (!systemd_ && !without_cgroup_) {
    cgroup_ = cgroups::Cgroup::create(layout_, path_);
    limit(cgroup_, spec_);
  }
}

void Making::prepare() {
  prepared_.cloned = clone_flags(spec_);
  prepared_.joined = open_joined(spec_);
  prepared_.entered_last = entered_last(spec_, prepared_.joined);
  prepared_.cgroup = systemd_ ? nullptr : meanwhile_ ? &planned_ : &cgroup_;
  prepared_.cgroup_meanwhile = meanwhile_;
  prepared_.filter = compile_filter(spec_, surroundings_, file_);
  if (prepared_.filter) {
    prepared_.listener = connect_listener(state_.listener_path, state_.listener_metadata);
  }
  prepared_.mount_maps = make_mount_maps(spec_);
  prepared_.outer_mounts = make_outer_mounts(spec_, surroundings_.bundle, prepared_.mount_maps);
  prepared_.net_devices = find_net_devices(spec_.net_devices);
  prepared_.dies_with_parent = starting_ == Starting::kAtOnce;
  prepared_.own_mounts = has_own_mounts(spec_);
  prepared_.state = state_;
  if (starting_ == Starting::kLater) {
    prepared_.start_socket = listen_for_start(file_);
  }
}

process::Child Making::spawn() {
  return process::spawn({.namespaces = prepared_.cloned, .cgroup = systemd_ ? -1 : cgroup_.unified(),
                         .by_way_of = way_into(spec_, prepared_.joined),
                         .why = "the container's first process, in namespaces of its own"},
                        [&](process::Gate& gate) -> int {
                          file_.forget();
                          if (meanwhile_) {
                            cgroup_ = cgroups::Cgroup::none("");
                          }
                          become_container(prepared_, gate);
                        });
}

void Making::note_child(const process::Child& child) {
  if (!meanwhile_) {
    note_pid(child);
  }
  if (systemd_) {
    start_scope(scope_, child.pid(), spec_.limits, spec_.annotations);
    undo_->has_scope(scope_.path);
    cgroup_ = enter_scope(child.pid(), limits_with_devices(spec_));
    state_.cgroup = cgroup_.path();
    file_.save(state_);
  }
}

// What only the parent can do, while the child waits at the gate.
void Making::prepare_surroundings(process::Child& child) {
  if (spec_.has_new(CLONE_NEWUSER)) {
    // Without mappings, which the specification allows: those that `unshare` of the course takes, too.
    namespaces::write_id_maps(child.pid(), spec_.id_maps.uids.empty() ? namespaces::own_maps() : spec_.id_maps);
  }
  move_net_devices(prepared_.net_devices, child.pid());
  if (surroundings_.while_waiting) {
    surroundings_.while_waiting(child.pid());
  }
}

void Making::make_rest_of_cgroup(process::Child& child) {
  if (!meanwhile_) {
    return;
  }
  note_pid(child);  // not before: if we die first, it ends where it waits for its cgroup
  cgroup_.add(cgroups::Cgroup::create(layout_.only(cgroups::Version::kV1), path_));
  limit(cgroup_, spec_);
  child.release(cgroup_.joinable());
}

void Making::run_runtime_hooks(process::Child& child) {
  if (!has_runtime_hooks()) {
    return;
  }
  child.wait_reached(kStopRuntimeHooks);
  // prestart comes from a time when it ran at the start of a container that had been created.
  run_hooks(spec_.hooks.prestart, [&] { return state_json(state_, Status::kCreated); }, {"prestart", surroundings_.bundle});
  run_hooks(spec_.hooks.create_runtime, [&] { return state_json(state_, Status::kCreating); }, {"createRuntime", surroundings_.bundle});
  child.release();
}

void Making::follow_successor(process::Child& child) {
  if (prepared_.entered_last == nullptr) {
    return;
  }
  child.wait_succeeded();
  note_pid(child);
  child.release();
}

// Whether the program may start as soon as the child has made the container: all that we do before is done while the child is at
// it, and the two need not wait for each other. Not if anybody else looks at what was created, or is told of it, which must not
// happen before it has come about.
bool Making::goes_straight_on() const {
  const bool told = !surroundings_.pid_file.empty() || !surroundings_.pidfd_socket.empty() || !surroundings_.console_socket.empty();
  return starting_ != Starting::kLater && !told && !has_runtime_hooks() && spec_.process && !spec_.process->oom_score_adj;
}

// Gives the master of the program's terminal, if it has one that nobody else has taken.
Fd Making::let_start(process::Child& child) {
  const bool straight_on = goes_straight_on();
  if (straight_on) {
    record_start(child);
    child.release();
  }
  std::vector<Fd> handed_over = child.wait_reached(kStopCreated);
  Fd terminal = handed_over.empty() ? Fd() : std::move(handed_over.front());
  if (terminal && !surroundings_.console_socket.empty()) {
    send_console(surroundings_.console_socket, terminal.get());
    terminal.reset();
  }
  if (!straight_on) {
    record_start(child);
  }
  file_.unlock();
  if (!straight_on) {
    child.release();
  }
  return terminal;
}

void Making::record_start(const process::Child& child) {
  if (spec_.process) {
    prepare_process(*spec_.process, child.pid());
  }
  state_.created = true;
  state_.started = starting_ != Starting::kLater;
  file_.save_progress(state_);
  write_pid_file(surroundings_.pid_file, child.pid());
  if (!surroundings_.pidfd_socket.empty()) {
    send_console(surroundings_.pidfd_socket, child.pidfd());
  }
  if (about_to_start_) {
    about_to_start_(state_);
  }
}

void Making::note_pid(const process::Child& child) {
  state_.pid = child.pid();
  state_.pid_start = start_time(child.pid());
  file_.save_progress(state_);
}

}  // namespace

Made make(const Spec& spec, const Surroundings& surroundings, Starting starting, const std::function<void(const State&)>& about_to_start) {
  tell_of_own_binary();
  check_all(spec, surroundings, starting);
  return Making(spec, surroundings, starting, about_to_start).finish();
}

State create(const Spec& spec, const Surroundings& surroundings) {
  Made made = make(spec, surroundings, Starting::kLater);
  made.child.detach();
  return made.state;
}

}  // namespace jigsaw::runtime
