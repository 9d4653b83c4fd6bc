#include <filesystem>

#include "base/cli.h"
#include "base/error.h"
#include "base/files.h"
#include "oci/commands.h"
#include "runtime/activation.h"

namespace jigsaw::oci {
namespace {

struct CreateOptions {
  std::string bundle = ".";
  std::string config = "config.json";
  std::string pid_file;
  std::string console_socket;
  std::string pidfd_socket;
  std::string id;
  int preserve_fds = 0;
  bool no_pivot = false;
  bool no_new_keyring = false;
  bool detach = false;
  bool keep = false;
  bool subreaper = true;
};

runtime::Surroundings surroundings(const CreateOptions& options) {
  runtime::Surroundings result;
  result.state_root = std::filesystem::absolute(state_root()).lexically_normal();
  result.id = options.id;
  result.bundle = std::filesystem::canonical(options.bundle);
  result.pid_file = options.pid_file;
  result.console_socket = options.console_socket;
  result.pidfd_socket = options.pidfd_socket;
  result.preserve_fds = options.preserve_fds;
  result.root_change = options.no_pivot ? rootfs::RootChange::kMoveAndChroot : rootfs::RootChange::kPivot;
  result.keyring = options.no_new_keyring ? runtime::Surroundings::Keyring::kInherit : runtime::Surroundings::Keyring::kNew;
  const bool systemd = globals().systemd_cgroup || globals().cgroup_manager == "systemd";
  result.cgroup_driver = systemd ? runtime::CgroupDriver::kSystemd : runtime::CgroupDriver::kFiles;
  return result;
}

runtime::Spec read_spec(const CreateOptions& options) {
  std::error_code missing;
  if (!std::filesystem::is_directory(options.bundle, missing)) {
    throw fail("bundle {} is not a directory", options.bundle);
  }
  const std::filesystem::path path = std::filesystem::path(options.bundle) / options.config;
  return runtime::parse_spec(files::read(path), path);
}

struct Wanted {
  runtime::Spec spec;
  runtime::Surroundings surroundings;
};
Wanted read(const CreateOptions& options) {
  Wanted wanted{read_spec(options), surroundings(options)};
  runtime::hand_on(runtime::current_activation(), wanted.spec, wanted.surroundings);
  return wanted;
}

void add_options(CLI::App& command, CreateOptions& options) {
  add_id(command, options.id);
  command.add_option("-b,--bundle", options.bundle, "directory with config.json");
  if (!cli::asks_for_more(command)) {
    return;
  }
  command.add_option("-f,--config", options.config, "name of the configuration file");
  command.add_option("--pid-file", options.pid_file, "file that gets the pid of the first process");
  command.add_option("--console-socket", options.console_socket, "socket that gets the terminal");
  command.add_option("--pidfd-socket", options.pidfd_socket, "socket that gets a descriptor of the first process");
  command.add_option("--preserve-fds", options.preserve_fds, "hand on that many descriptors from 3 on")->check(CLI::Range(0, 1024, "INT in [0 - 1024]"));
  command.add_flag("--no-pivot", options.no_pivot, "chroot instead of pivot_root, for an initramfs");
  command.add_flag("--no-new-keyring", options.no_new_keyring, "keep the caller's session keyring");
  command.add_flag("!--no-subreaper", options.subreaper, "do not reap orphans");
}

}  // namespace

void add_create(CLI::App& app) {
  CLI::App* command = app.add_subcommand("create", "make a container from a bundle");
  static CreateOptions options;
  add_options(*command, options);
  on_run(*command, [] {
    Wanted wanted = read(options);
    runtime::create(wanted.spec, wanted.surroundings);
    return 0;
  });
}

void add_run(CLI::App& app) {
  CLI::App* command = app.add_subcommand("run", "make a container, run it, and remove it");
  static CreateOptions options;
  add_options(*command, options);
  if (cli::asks_for_more(*command)) {
    command->add_flag("-d,--detach", options.detach, "return once it runs");
    command->add_flag("--keep", options.keep, "do not remove it at the end");
  }
  on_run(*command, [] {
    using Mode = runtime::RunOptions::Mode;
    Wanted wanted = read(options);
    return runtime::run(wanted.spec, wanted.surroundings,
                        {.mode = options.detach ? Mode::kDetached : Mode::kForeground, .keep = options.keep})
        .exit_code();
  });
}

}  // namespace jigsaw::oci
