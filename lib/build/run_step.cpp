// RUN as a step of a stage: its key, the container it runs in, and what becomes of its exit code.
#include <sched.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/interruption.h"
#include "base/text.h"
#include "build/glob.h"
#include "build/layers.h"
#include "build/output_relay.h"
#include "build/owner.h"
#include "build/run_mounts.h"
#include "build/run_spec.h"
#include "build/stage_runner.h"
#include "build/stubs.h"
#include "runtime/container.h"
#include "unionfs/overlay.h"

namespace jigsaw::build {
namespace {

constexpr int64_t kDefaultPids = 16384;  // a fork bomb in a RUN must not take the machine with it

void refuse_special(const Run& run) {
  if (run.command.words.empty() && run.command.form == CommandLine::Form::kExec) {
    throw fail("RUN has no arguments: there is no command to run").with_hint("for example RUN [\"make\", \"install\"]");
  }
  if (run.security == "insecure") {
    throw fail("--security=insecure is refused: a RUN never gets more power than a container")
        .with_hint("do what needs it outside of the build, or run a container with --privileged");
  }
  if (!run.devices.empty()) {
    throw fail("--device is refused: a RUN sees no devices of the host");
  }
}

std::string working_directory_of(const StageResult& stage) {
  const std::string& directory = stage.config.config.working_dir;
  return directory.empty() ? "/" : directory;
}

// The last lines of output, as the end of an error message.
std::string failure_text(const std::vector<std::string>& command, const process::ExitStatus& status,
                         const std::optional<std::string>& oom, const std::vector<std::string>& lines) {
  const std::string end = status.signal == 0 ? fmt::format("exit code: {}", status.code) : status.text();
  std::string text = fmt::format("the command {} did not complete successfully: {}", text::quoted(text::join(command, " ")), end);
  if (oom) {
    text += " (" + *oom + ")";
  }
  if (!lines.empty()) {
    text += "\n  last lines of its output:";
    for (const std::string& line : lines) {
      text += "\n    | " + line;
    }
  }
  return text;
}

// Limits are no part of the key: they decide whether a command succeeds, not what it makes.
void limit(runtime::Spec& spec, const BuildOptions& options) {
  spec.limits = cgroups::parse_limits(options.limits.limits);
  if (!spec.limits.pids && runtime::can_limit()) {
    spec.limits.pids = kDefaultPids;
  }
  for (const std::string& text : options.limits.ulimits) {
    spec.process->rlimits.push_back(security::parse_ulimit(text));
  }
  if (!options.shm_size.empty()) {
    const auto shm = std::find_if(spec.mounts.begin(), spec.mounts.end(),
                                  [](const runtime::MountPoint& mount) { return mount.destination == "/dev/shm"; });
    std::erase_if(shm->options, [](const std::string& option) { return option.starts_with("size="); });
    shm->options.push_back(fmt::format("size={}", text::parse_size(options.shm_size, "--shm-size")));
  }
}

// A program's own words about a full disk are often lost.
std::string disk_hint(const std::string& path) {
  struct statvfs disk {};
  const bool full = ::statvfs(path.c_str(), &disk) == 0 && disk.f_bavail * disk.f_frsize < (uint64_t{1} << 20);
  return full ? "the disk that holds the build is full: jigsaw system prune --build makes room" : "";
}

}  // namespace

bool StageRunner::run_step(const Run& run, Mode mode) {
  refuse_special(run);
  const image::RunConfig& config = result_.config.config;
  const Invocation call = invocation(run.command, config.shell);
  const Step& current = step();
  RunMounts mounts(*this, run);
  StepInputs inputs;
  inputs.add("the layers below", result_.chain());
  inputs.add("the instruction", "RUN " + text::join(call.words, "\n"));
  inputs.add("the environment", text::join(current.scope->environment.to_environment(), "\n"));
  inputs.add("the directory", working_directory_of(result_));
  inputs.add("the user", config.user);
  inputs.add("the network", fmt::format("{} {}", static_cast<int>(run.network), workshop_.options.network));
  for (const auto& [name, address] : workshop_.options.hosts) {
    inputs.add("a host's name", name);  // its address belongs to the network, as what answers there does
  }
  const std::string hostname = built_in_argument(workshop_.options, "BUILDKIT_SANDBOX_HOSTNAME");
  if (!hostname.empty()) {
    inputs.add("the host name", hostname);
  }
  if (call.script) {
    inputs.add("the script", call.script->content);
  }
  mounts.add_inputs(inputs);
  const auto make = [&](const std::string& upper, const std::vector<std::string>& below) {
    RunPlan plan{.words = call.words,
                 .environment = current.scope->environment.to_environment(),
                 .directory = working_directory_of(result_),
                 .user = config.user,
                 .network = run.network,
                 .default_network = workshop_.options.network,
                 .hostname = hostname,
                 .hosts = workshop_.options.hosts};
    for (const KeyValue& proxy : proxy_arguments(workshop_.plan)) {
      if (!current.scope->environment.contains(proxy.key)) {
        plan.environment.push_back(proxy.key + "=" + proxy.value);
      }
    }
    execute_run(plan, mounts, call, upper, below);
  };
  return layer_step(std::move(inputs), run_history(call.words, *current.scope), mode, Below::kParents, make);
}

void StageRunner::execute_run(RunPlan plan, RunMounts& mounts, const Invocation& call, const std::string& upper,
                              const std::vector<std::string>& below) {
  const std::string work = upper + "-work";
  const std::string room = upper + "-room";  // places for what is mounted
  files::make_directories(work, 0700);
  if (!mounts.empty() || call.script || below.empty()) {
    files::make_directories(room, 0700);
  }
  {
    LayerWriter layer(upper, below);
    layer.make_directories(layer.tree().resolve(plan.directory), {.mode = 0755, .time = workshop_.epoch});
  }
  mounts.prepare(room, call.script, plan.environment);
  const std::string name = workshop_.run_states->prefix() + "-" + files::random_hex(4);
  Tree before(below);
  runtime::Spec spec = run_spec(plan, before, workshop_.shared);
  limit(spec, workshop_.options);
  if (!workshop_.options.cgroup_parent.empty()) {
    spec.cgroups_path = fmt::format("{}/jigsaw-{}", workshop_.options.cgroup_parent, name);
  }
  mounts.add_to(spec);
  const Stubs stubs(before, spec);
  std::vector<std::string> lowers = below;
  if (lowers.empty()) {
    make_shown_directory(room + "/empty");
    lowers.push_back(room + "/empty");
  }
  runtime::Surroundings surroundings{.state_root = workshop_.run_states->directory(),
                                     .id = name};
  surroundings.root_mount = [&] {
    mounts.attach_all();
    return unionfs::mount_overlay({.lowers = lowers, .upper = upper, .work = work, .is_volatile = true},
                                  "the layers so far, and a new one on top for what this RUN writes");
  };
  std::optional<std::string> oom;
  const Stage& stage = workshop_.plan.stages[stage_];
  OutputRelay relay(workshop_.options.events, {.stage = workshop_.plan.stages.size() > 1 ? stage.label : "",
                                               .step = layer_position_ + 1,
                                               .steps = layer_steps_});
  process::ExitStatus status;
  {
    const OutputRelay::Redirection redirection = relay.redirect();
    status = runtime::run(spec, surroundings, {.requests = process::SuperviseOptions::Requests::kEnd}, &oom);
  }
  const std::vector<std::string> lines = relay.finish();
  Interruption::check();
  if (status.exit_code() != 0) {
    if (workshop_.options.shell_on_error) {
      tell(Event::Kind::kNote, "--on-error shell: the file system as the failed command left it; leave it with exit");
      if (workshop_.options.events != nullptr) {
        workshop_.options.events->hand_over(EventSink::Until::kEnd);
      }
      open_shell(spec, surroundings, work);
    }
    throw Error(failure_text(plan.words, status, oom, lines), disk_hint(upper), status.exit_code());
  }
  stubs.remove_from(upper, below);
}

void StageRunner::open_shell(runtime::Spec spec, runtime::Surroundings surroundings, const std::string& work) const {
  files::remove_tree(work);  // the overlay of the failed command has marked it as used
  files::make_directories(work, 0700);
  spec.process->args = {"/bin/sh"};
  spec.process->terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  if (const char* term = std::getenv("TERM"); spec.process->terminal && term != nullptr) {
    spec.process->env.push_back(fmt::format("TERM={}", term));
  }
  surroundings.id = workshop_.run_states->prefix() + "-" + files::random_hex(4);
  try {
    runtime::run(spec, surroundings);
  } catch (const Error& error) {
    tell(Event::Kind::kNote, fmt::format("no shell can be opened: {}", error.message()));
  }
}

}  // namespace jigsaw::build
