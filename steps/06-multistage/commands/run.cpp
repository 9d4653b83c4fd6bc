#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"
#include "cgroups/options.h"
#include "commands/commands.h"
#include "engine/run.h"
#include "namespaces/furnish.h"
#include "process/exec.h"

namespace jigsaw::commands {
namespace {

struct Words {
  engine::RunOptions options;
  std::vector<std::string> volumes;
  std::vector<std::string> devices;
  std::vector<std::string> hosts;
  std::vector<std::string> environment_files;
  std::vector<std::string> security;
  std::string pull = "missing";
};

void add_what_runs(CLI::App& command, Words& words) {
  engine::RunOptions& o = words.options;
  const auto replace = [&o](const std::string& program) {
    o.entrypoint = program.empty() ? std::vector<std::string>{} : std::vector<std::string>{program};
  };
  command.add_option_function<std::string>("--entrypoint", replace, "program in place of the image's entry point; \"\": none");
  command.add_option("-e,--env", o.environment, "NAME=value, or NAME to hand on ours")
      ->allow_extra_args(false);
  command.add_option("--env-file", words.environment_files, "file with a variable a line")->allow_extra_args(false);
  command.add_option("-w,--workdir", o.working_directory, "directory to start in");
  command.add_option("-u,--user", o.user, "user[:group], names or numbers");
  command.add_option("--group-add", o.groups, "group more, a name or a number")->allow_extra_args(false);
  command.add_flag("-i,--interactive", o.interactive, "keep standard input open");
  command.add_flag("-t,--tty", o.terminal, "give the program a terminal");
}

void add_what_it_is(CLI::App& command, Words& words) {
  engine::RunOptions& o = words.options;
  command.add_option("--name", o.name, "name of the container");
  command.add_flag("--rm", o.remove_after, "remove the container when it ends");
  command.add_option("--hostname", o.hostname, "host name (default: the start of the id)")
      ->each([](const std::string& name) { namespaces::check_host_name("host name", name); });
  command.add_option("--pull", words.pull, "missing, always or never");
}

void add_what_it_sees(CLI::App& command, Words& words) {
  engine::RunOptions& o = words.options;
  command.add_option("--network", o.network, "none or host")->capture_default_str();
  command.add_option("--add-host", words.hosts, "NAME:ADDRESS, for its /etc/hosts")->allow_extra_args(false);
  command.add_option("--pid", o.pid_mode, "host: see the processes of the host");
  command.add_option("-v,--volume", words.volumes, "SOURCE:DESTINATION[:ro]")->allow_extra_args(false);
  command.add_option("--tmpfs", o.tmpfs, "DIR[:options]: a file system in memory")->allow_extra_args(false);
  command.add_option("--shm-size", o.shm_size, "size of /dev/shm (default: 64m)");
  command.add_option("--device", words.devices, "device of the host: SOURCE[:DESTINATION][:rwm]")->allow_extra_args(false);
  command.add_flag("--read-only", o.read_only, "no writable layer");
}

void add_what_it_may(CLI::App& command, Words& words) {
  engine::RunOptions& o = words.options;
  command.add_option("--cap-add", o.add_capabilities, "capability to add, or ALL")->allow_extra_args(false);
  command.add_option("--cap-drop", o.drop_capabilities, "capability to drop, or ALL")
      ->allow_extra_args(false);
  command.add_option("--security-opt", words.security, "no-new-privileges or seccomp=unconfined")
      ->allow_extra_args(false);
  command.add_flag("--privileged", o.privileged,
                   "all capabilities, no seccomp, no masks: the container can harm the host");
  command.add_option("--ulimit", o.ulimits, "NAME=soft[:hard]")->allow_extra_args(false);
  command.add_option("--sysctl", o.sysctls, "KEY=value, of the container's own namespaces")
      ->allow_extra_args(false);
}

void finish(Words& words) {
  engine::RunOptions& o = words.options;
  for (const std::string& volume : words.volumes) {
    o.volumes.push_back(engine::parse_volume(volume));
  }
  for (const std::string& device : words.devices) {
    const auto granted = engine::parse_device(device);
    o.devices.insert(o.devices.end(), granted.begin(), granted.end());
  }
  for (const std::string& host : words.hosts) {
    o.hosts.push_back(engine::parse_host(host));
  }
  o.environment = process::with_assignments_of(words.environment_files, std::move(o.environment));
  for (const std::string& option : words.security) {
    if (option == "no-new-privileges" || option == "no-new-privileges=true" ||
        option == "no-new-privileges:true") {
      o.no_new_privileges = true;
    } else if (option == "seccomp=unconfined" || option == "seccomp:unconfined") {
      o.unconfined = true;
    } else {
      throw Error(fmt::format("unknown security option {}", text::quoted(option)),
                  "no-new-privileges and seccomp=unconfined are known");
    }
  }
  engine::validate(o);
}

}  // namespace

void add_run(CLI::App& app) {
  static Words words;
  CLI::App* command = app.add_subcommand("run", "run a program in a new container");
  for (const auto add : {add_what_runs, add_what_it_is, add_what_it_sees, add_what_it_may}) {
    if (cli::asks_for_more(*command)) {
      add(*command, words);
    }
  }
  cgroups::add_limit_options(*command, words.options.limits);
  cli::take_command_line(*command, words.options.image, words.options.arguments, "IMAGE",
                         "name or id of an image");
  cli::on_run(*command, [] {
    finish(words);
    const auto fetch = [] { return ensure_image(words.options.image, words.pull); };
    if (words.pull == "missing") {
      return engine::run(paths(), words.options, fetch);
    }
    const int code = fetch();
    return code != 0 ? code : engine::run(paths(), words.options);
  });
}

}  // namespace jigsaw::commands
