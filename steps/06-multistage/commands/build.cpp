#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "build/build_arguments.h"
#include "build/builder.h"
#include "build/docker_flags.h"
#include "commands/commands.h"

namespace jigsaw::commands {
namespace {

build::BuildArguments g_words;

int run_build() {
  g_words.paths = paths();
  return build::run_build_command(g_words);
}

}  // namespace

void add_build(CLI::App& app) {
  CLI::App* command = app.add_subcommand("build", "build an image from a Dockerfile");
  build::BuildArguments& words = g_words;
  command->add_option("context", words.context, "a directory, '-' for standard input, or an address");
  command->add_option("-f,--file", words.dockerfile, "the Dockerfile, '-' for standard input");
  command->add_option("-t,--tag", words.tags, "a name for the image")->allow_extra_args(false);
  command->add_option("--target", words.target, "build this stage");
  command->add_option("--build-arg", words.arguments, "NAME=VALUE of an ARG")->allow_extra_args(false);
  command->add_option("--build-context", words.named_contexts, "NAME=DIR or docker-image://NAME")
      ->allow_extra_args(false);
  command->add_option("--label", words.labels, "NAME=VALUE for the image")->allow_extra_args(false);
  command->add_option("--secret", words.secrets, "id=ID,src=FILE or id=ID,env=NAME")->allow_extra_args(false);
  command->add_option("--ssh", words.ssh, "an agent for RUN --mount=type=ssh: default or ID=SOCKET")
      ->allow_extra_args(false);
  command->add_option("--platform", words.platform, "os/architecture of the image");
  command->add_option("--network", words.network, "of RUN: default, none or host");
  command->add_option("-m,--memory", words.limits.limits.memory, "memory limit of each RUN: 64m, 1g");
  command->add_option("--memory-swap", words.limits.limits.memory_swap, "memory and swap together; -1: no limit on swap");
  command->add_option("--cpus", words.limits.limits.cpus, "processors' time a RUN may use: 0.5, 2");
  command->add_option("--cpuset-cpus", words.limits.limits.cpuset_cpus, "processors a RUN may use: 0-1,3");
  command->add_option("--cpuset-mems", words.limits.limits.cpuset_mems, "memory nodes a RUN may use: 0-1");
  command->add_option("-c,--cpu-shares", words.limits.limits.cpu_shares, "weight among others: 1024 is usual");
  command->add_option("--cpu-period", words.limits.limits.cpu_period, "microseconds for --cpu-quota");
  command->add_option("--cpu-quota", words.limits.limits.cpu_quota, "microseconds a RUN may use in each period");
  command->add_option("--pids-limit", words.limits.limits.pids_limit, "processes and threads of a RUN (default 16384)");
  command->add_option("--cgroup-parent", words.cgroup_parent, "the cgroup below which RUNs get theirs");
  command->add_option("--add-host", words.hosts, "NAME:ADDRESS for /etc/hosts in RUN")->allow_extra_args(false);
  command->add_option("--ulimit", words.limits.ulimits, "NAME=soft[:hard] for RUN")->allow_extra_args(false);
  command->add_option("--shm-size", words.shm_size, "size of /dev/shm in RUN");
  command->add_option("-o,--output", words.output, "DIR, -, or type=local|tar|oci|docker,dest=PLACE, or type=registry");
  command->add_option("--iidfile", words.iidfile, "write the image's ID to this file");
  command->add_option("--metadata-file", words.metadata_file, "write digests and names to this file, as JSON");
  command->add_option("--annotation", words.annotations, "KEY=VALUE for the image's manifest")->allow_extra_args(false);
  command->add_option("--progress", words.progress, "auto, plain, tty, json or quiet");
  command->add_option("--on-error", words.on_error, "shell: open one in the step that failed");
  command->add_option("--no-cache-filter", words.uncached_stages, "build this stage anew")
      ->allow_extra_args(false);
  command->add_option("--cache-from", words.cache_from, "look here too: type=local,src=DIR or type=registry,ref=NAME")
      ->allow_extra_args(false);
  command->add_option("--cache-to", words.cache_to,
                      "write the steps here: type=local,dest=DIR or type=registry,ref=NAME, mode=min or max")
      ->allow_extra_args(false);
  command->add_option("--graph", words.graph, "show the stages instead of building: text or svg")
      ->expected(0, 1)->allow_extra_args(false);
  command->add_flag("--no-cache", words.no_cache, "build every step anew");
  command->add_flag("--pull", words.pull, "ask the registry for newer base images");
  command->add_flag("--push", words.push, "push the tags to their registries");
  command->add_flag("--check", words.check, "check the Dockerfile, build nothing");
  command->add_option("--call", words.call, "build, or check for --check");
  command->add_flag("--explain-cache", words.explain_cache,
                    "say of each step why it hit or missed the cache");
  command->add_flag("-q,--quiet", words.quiet, "print the image's ID alone");
  for (const build::DockerFlag& flag : build::docker_flags()) {
    const auto note = [name = flag.name](const std::string& value) { g_words.docker_flags.emplace_back(name, value); };
    if (flag.value == build::DockerFlag::Value::kNone) {
      command->add_flag_callback(flag.name, [note] { note(""); })->group("");
    } else {
      command->add_option_function<std::string>(flag.name, note)->group("");
    }
  }
  cli::on_run(*command, run_build);
}

}  // namespace jigsaw::commands
