#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/cli.h"
#include "oci/commands.h"
#include "process/exec.h"
#include "security/user.h"

namespace jigsaw::oci {
namespace {

struct ExecOptions {
  runtime::ExecOptions exec;
  std::string process_file;
  std::string cwd;
  std::string user;
  std::vector<std::string> env;
  std::vector<std::string> capabilities;
  std::vector<std::string> command;
  std::vector<std::string> additional_gids;
  std::string apparmor;
  std::string label;
  bool detach = false;
  bool tty = false;
  bool no_new_privileges = false;
  bool ignore_paused = false;
};

// "uid" or "uid:gid": names are the engines' affair.
void set_user(runtime::Process& process, const std::string& user) {
  const auto parts = text::split(user, ':');
  if (parts.size() > 2) {
    throw fail("--user must be UID or UID:GID, not {}", text::quoted(user));
  }
  process.uid = static_cast<uid_t>(text::parse_u64(parts.front(), "--user", 0xfffffffe));
  process.gid = parts.size() == 2 ? static_cast<gid_t>(text::parse_u64(parts.back(), "--user", 0xfffffffe)) : process.gid;
}

// The container's own process from its config.json, changed by the options.
runtime::Process from_options(const ExecOptions& options) {
  const runtime::State state = runtime::StateFile::open(options.exec.state_root, options.exec.id).load();
  const std::string path = state.bundle + "/config.json";
  runtime::Process process = runtime::parse_process_of_spec(files::read(path), path);
  process.args = options.command;
  process.terminal = options.tty;
  process.cwd = options.cwd.empty() ? process.cwd : options.cwd;
  for (const std::string& assignment : options.env) {
    process::set_variable(process.env, assignment);
  }
  process.no_new_privileges = process.no_new_privileges || options.no_new_privileges;
  process.apparmor_profile = options.apparmor.empty() ? process.apparmor_profile : options.apparmor;
  process.selinux_label = options.label.empty() ? process.selinux_label : options.label;
  if (!options.user.empty()) {
    set_user(process, options.user);
  }
  for (const std::string& gid : options.additional_gids) {
    process.additional_gids.push_back(static_cast<gid_t>(text::parse_u64(gid, "--additional-gids", 0xfffffffe)));
  }
  if (!options.capabilities.empty()) {
    const security::CapabilitySet more = security::parse_capabilities(options.capabilities);
    security::Capabilities sets = process.capabilities.value_or(security::Capabilities{});
    sets.bounding |= more;
    sets.permitted |= more;
    sets.effective |= more;
    process.capabilities = sets;
  }
  return process;
}

runtime::Process wanted_process(const ExecOptions& options) {
  if (options.process_file.empty()) {
    return from_options(options);
  }
  runtime::Process process = runtime::read_process(options.process_file);
  process.terminal = process.terminal || options.tty;
  return process;
}

void add_options(CLI::App& command, ExecOptions& options) {
  command.add_option("-p,--process", options.process_file, "file with the process as JSON");
  command.add_option("--cwd", options.cwd, "working directory");
  command.add_option("-u,--user", options.user, "UID or UID:GID");
  command.add_option("-e,--env", options.env, "NAME=value")->allow_extra_args(false);
  command.add_option("-c,--cap", options.capabilities, "a capability more")->allow_extra_args(false);
  command.add_option("-g,--additional-gids", options.additional_gids, "a group more")->allow_extra_args(false);
  command.add_option("--apparmor", options.apparmor, "AppArmor profile");
  command.add_option("--process-label", options.label, "SELinux label");
  command.add_flag("--no-new-privs", options.no_new_privileges, "setuid programs give no rights");
  command.add_flag("-t,--tty", options.tty, "with a terminal");
  command.add_flag("-d,--detach", options.detach, "return once it runs");
  command.add_option("--pid-file", options.exec.pid_file, "file that gets its pid");
  command.add_option("--console-socket", options.exec.console_socket, "socket that gets the terminal");
  command.add_option("--pidfd-socket", options.exec.pidfd_socket, "socket that gets a descriptor of the process");
  command.add_option("--preserve-fds", options.exec.preserve_fds, "hand on that many descriptors from 3 on")->check(CLI::Range(0, 1024, "INT in [0 - 1024]"));
  command.add_option("--cgroup", options.exec.cgroup, "a cgroup below the container's");
  command.add_flag("--ignore-paused", options.ignore_paused, "in a paused container, start once it is resumed");
}

}  // namespace

void add_exec(CLI::App& app) {
  CLI::App* command = app.add_subcommand("exec", "run a further program in a container");
  static ExecOptions options;
  if (cli::asks_for_more(*command)) {
    add_options(*command, options);
  }
  cli::take_command_line(*command, options.exec.id, options.command, "ID", "the container");
  on_run(*command, [] {
    using Mode = runtime::RunOptions::Mode;
    options.exec.state_root = std::filesystem::absolute(state_root()).lexically_normal();
    options.exec.if_paused = options.ignore_paused ? runtime::ExecOptions::IfPaused::kWait : runtime::ExecOptions::IfPaused::kRefuse;
    options.exec.mode = options.detach ? Mode::kDetached : Mode::kForeground;
    return runtime::exec(wanted_process(options), options.exec).exit_code();
  });
}

}  // namespace jigsaw::oci
