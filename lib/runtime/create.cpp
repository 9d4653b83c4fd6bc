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

void note_pid(const process::Child& child, State& state, const StateFile& file) {
  state.pid = child.pid();
  state.pid_start = start_time(child.pid());
  file.save_progress(state);
}

// Why a cgroup that is there already can't be the container's; nothing if it can. Processes in it, or below it, are another
// container's, and must not be ended with ours; in a frozen one our child would never answer.
std::optional<std::string> why_taken(const cgroups::Layout& layout, const std::string& path) {
  const bool exists = std::any_of(layout.hierarchies.begin(), layout.hierarchies.end(), [&](const cgroups::Hierarchy& each) {
    return (each.version == cgroups::Version::kV2 || each.has("freezer") || each.has("pids")) && files::is_directory(each.directory(path));
  });
  if (!exists) {
    return std::nullopt;
  }
  const cgroups::Cgroup cgroup = cgroups::Cgroup::open(layout, path);
  if (!cgroup.processes().empty()) {
    return "holds processes already";
  }
  return cgroup.frozen() ? std::optional("is frozen: nothing would start in it") : std::nullopt;
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

cgroups::Cgroup cgroup_of(const State& state, const cgroups::Layout& layout) {
  return state.cgroup.empty() ? cgroups::Cgroup::none("") : cgroups::Cgroup::open(layout, state.cgroup);
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

std::string cgroup_path(const Spec& spec, const Surroundings& surroundings, const cgroups::Layout& layout) {
  return spec.cgroups_path.empty() ? cgroups::usual_path(layout, "jigsaw-" + surroundings.id)
                                   : cgroups::clean_path(spec.cgroups_path);
}

// Without privilege there may be no place for a cgroup. Then the container goes without, unless something is to be
// limited; rules for devices do not count, since nobody can make a device in a user namespace.
bool goes_without_cgroup(const Spec& spec, const cgroups::Layout& layout, const std::string& path) {
  cgroups::Limits limits = spec.limits;
  limits.devices.clear();
  return cgroups::asks_for_nothing(limits) && !cgroups::may_create(layout, path);
}

cgroups::Limits limits_with_devices(const Spec& spec) {
  cgroups::Limits limits = spec.limits;
  if (limits.devices.empty()) {
    return limits;
  }
  using Rule = cgroups::DeviceRule;
  const auto allow = [&](Rule::Kind kind, std::optional<int64_t> major, std::optional<int64_t> minor, const char* access) {
    limits.devices.push_back({Rule::Answer::kAllow, kind, major, minor, access});
  };
  allow(Rule::Kind::kCharacter, {}, {}, "m");
  allow(Rule::Kind::kBlock, {}, {}, "m");
  for (const rootfs::Device& device : rootfs::default_devices()) {
    allow(Rule::Kind::kCharacter, device.major, device.minor, "rwm");
  }
  allow(Rule::Kind::kCharacter, 5, 1, "rwm");    // console
  allow(Rule::Kind::kCharacter, 5, 2, "rwm");    // ptmx
  allow(Rule::Kind::kCharacter, 136, {}, "rwm");  // pts/*
  // Those of linux.devices are there to be seen; whether they may be used, linux.resources.devices says.
  return limits;
}

cgroups::Scope scope_of(const Spec& spec, const Surroundings& surroundings) {
  const auto keeper = ::geteuid() == 0 ? cgroups::Scope::Keeper::kSystem : cgroups::Scope::Keeper::kUser;
  return cgroups::parse_scope(spec.cgroups_path, surroundings.id, keeper);
}

// Whether the cgroup may come about while the child is at its mounts. In a v2 tree it is born; hooks of the runtime may look
// for its v1 directories.
bool made_meanwhile(const Spec& spec, const cgroups::Layout& layout) {
  return layout.hierarchies.size() > (layout.unified() != nullptr ? 1U : 0U) && spec.hooks.prestart.empty() && spec.hooks.create_runtime.empty();
}

// Whether the program may start as soon as the child has made the container: all that we do before is done while the child is at
// it, and the two need not wait for each other. Not if anybody else looks at what was created, or is told of it, which must not
// happen before it has come about.
bool starts_straight_on(const Spec& spec, const Surroundings& surroundings, Starting starting) {
  const bool told = !surroundings.pid_file.empty() || !surroundings.pidfd_socket.empty() || !surroundings.console_socket.empty();
  const bool has_hooks = !spec.hooks.prestart.empty() || !spec.hooks.create_runtime.empty();
  return starting != Starting::kLater && !told && !has_hooks && spec.process && !spec.process->oom_score_adj;
}

void limit(const cgroups::Cgroup& cgroup, const Spec& spec) {
  if (cgroup.path().find('/', 1) != std::string::npos && cgroup.frozen()) {
    throw fail("the cgroup {} is below a frozen one: nothing would start in it", cgroup.path());
  }
  cgroup.apply(limits_with_devices(spec));
}

Made make(const Spec& spec, const Surroundings& surroundings, Starting starting, const std::function<void(const State&)>& about_to_start) {
  tell_of_own_binary();
  validate(spec);
  check_id(surroundings.id);
  check_root(spec, surroundings);
  check_against_kernel(spec);
  if (spec.process && spec.process->terminal && surroundings.console_socket.empty() && starting == Starting::kLater) {
    throw Error("process.terminal is true, but nobody takes the terminal", "give --console-socket");
  }
  const cgroups::Layout layout = cgroups::read_layout();
  const bool systemd = surroundings.cgroup_driver == CgroupDriver::kSystemd;
  const cgroups::Scope scope = systemd ? scope_of(spec, surroundings) : cgroups::Scope();
  const std::string path = systemd ? scope.path : cgroup_path(spec, surroundings, layout);

  StateFile file = StateFile::make(surroundings.state_root, surroundings.id);
  file.lock();
  const bool without_cgroup = !systemd && goes_without_cgroup(spec, layout, path);
  State state = first_state(spec, surroundings, without_cgroup ? "" : path);
  if (const auto taken = without_cgroup ? std::nullopt : why_taken(layout, path)) {
    file.remove();
    throw fail("the cgroup {} {}", path, *taken);
  }
  cgroups::Cgroup cgroup = cgroups::Cgroup::none(path);
  Undo undo(file, &cgroup);
  file.save(state);
  const bool meanwhile = !systemd && !without_cgroup && made_meanwhile(spec, layout);
  cgroups::Cgroup planned = cgroups::Cgroup::none(path);
  if (meanwhile) {
    planned = cgroups::Cgroup::planned(layout, path);
    cgroup = layout.unified() != nullptr ? cgroups::Cgroup::create(layout.only(cgroups::Version::kV2), path) : std::move(cgroup);
  } else if (!systemd && !without_cgroup) {
    cgroup = cgroups::Cgroup::create(layout, path);
    limit(cgroup, spec);
  }

  Prepared prepared{.spec = spec, .surroundings = surroundings};
  prepared.cloned = clone_flags(spec);
  prepared.joined = open_joined(spec);
  prepared.entered_last = entered_last(spec, prepared.joined);
  prepared.cgroup = systemd ? nullptr : meanwhile ? &planned : &cgroup;
  prepared.cgroup_meanwhile = meanwhile;
  prepared.filter = compile_filter(spec, surroundings, file);
  if (prepared.filter) {
    prepared.listener = connect_listener(state.listener_path, state.listener_metadata);
  }
  prepared.mount_maps = make_mount_maps(spec);
  prepared.outer_mounts = make_outer_mounts(spec, surroundings.bundle, prepared.mount_maps);
  prepared.net_devices = find_net_devices(spec.net_devices);
  prepared.dies_with_parent = starting == Starting::kAtOnce;
  prepared.own_mounts = has_own_mounts(spec);
  prepared.state = state;
  if (starting == Starting::kLater) {
    prepared.start_socket = listen_for_start(file);
  }

  process::Child child = process::spawn({.namespaces = prepared.cloned, .cgroup = systemd ? -1 : cgroup.unified(),
                                         .by_way_of = way_into(spec, prepared.joined),
                                         .why = "the container's first process, in namespaces of its own"},
                                        [&](process::Gate& gate) -> int {
                                          file.forget();
                                          cgroup = meanwhile ? cgroups::Cgroup::none("") : std::move(cgroup);
                                          become_container(prepared, gate);
                                        });
  if (!meanwhile) {
    note_pid(child, state, file);
  }
  if (systemd) {
    start_scope(scope, child.pid(), spec.limits, spec.annotations);
    undo.has_scope(scope.path);
    cgroup = enter_scope(child.pid(), limits_with_devices(spec));
    state.cgroup = cgroup.path();
    file.save(state);
  }
  if (spec.has_new(CLONE_NEWUSER)) {
    // Without mappings, which the specification allows: those that `unshare` of the course takes, too.
    namespaces::write_id_maps(child.pid(), spec.id_maps.uids.empty() ? namespaces::own_maps() : spec.id_maps);
  }
  move_net_devices(prepared.net_devices, child.pid());
  if (surroundings.while_waiting) {
    surroundings.while_waiting(child.pid());
  }
  child.release();
  if (meanwhile) {
    note_pid(child, state, file);  // not before: if we die first, it ends where it waits for its cgroup
    cgroup.add(cgroups::Cgroup::create(layout.only(cgroups::Version::kV1), path));
    limit(cgroup, spec);
    child.release(cgroup.joinable());
  }
  if (!spec.hooks.prestart.empty() || !spec.hooks.create_runtime.empty()) {
    child.wait_reached(kStopRuntimeHooks);
    // prestart comes from a time when it ran at the start of a container that had been created.
    run_hooks(spec.hooks.prestart, [&] { return state_json(state, Status::kCreated); }, {"prestart", surroundings.bundle});
    run_hooks(spec.hooks.create_runtime, [&] { return state_json(state, Status::kCreating); }, {"createRuntime", surroundings.bundle});
    child.release();
  }
  if (prepared.entered_last != nullptr) {
    child.wait_succeeded();
    note_pid(child, state, file);
    child.release();
  }
  const auto record_start = [&] {
    if (spec.process) {
      prepare_process(*spec.process, child.pid());
    }
    state.created = true;
    state.started = starting != Starting::kLater;
    file.save_progress(state);
    write_pid_file(surroundings.pid_file, child.pid());
    if (!surroundings.pidfd_socket.empty()) {
      send_console(surroundings.pidfd_socket, child.pidfd());
    }
    if (about_to_start) {
      about_to_start(state);
    }
  };
  const bool straight_on = starts_straight_on(spec, surroundings, starting);
  if (straight_on) {
    record_start();
    child.release();
  }
  std::vector<Fd> handed_over = child.wait_reached(kStopCreated);
  Fd terminal = handed_over.empty() ? Fd() : std::move(handed_over.front());
  if (terminal && !surroundings.console_socket.empty()) {
    send_console(surroundings.console_socket, terminal.get());
    terminal.reset();
  }
  if (!straight_on) {
    record_start();
  }
  file.unlock();
  if (!straight_on) {
    child.release();
  }
  undo.done();
  return Made{std::move(file), std::move(state), std::move(cgroup), std::move(child), std::move(terminal)};
}

State create(const Spec& spec, const Surroundings& surroundings) {
  Made made = make(spec, surroundings, Starting::kLater);
  made.child.detach();
  return made.state;
}

bool can_limit() {
  const cgroups::Layout layout = cgroups::read_layout();
  return cgroups::may_create(layout, cgroups::usual_path(layout, "jigsaw-any"));
}

}  // namespace jigsaw::runtime
