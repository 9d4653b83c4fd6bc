// 02-namespaces: the process gets a system of its own to look at. What 01-process has, and:
//   parent   the child is born in new namespaces; its id maps are written while it waits at the gate
//   child    host name, loopback, and a root directory of its own with /proc and /dev
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/files.h"
#include "base/journal.h"
#include "base/table.h"
#include "namespaces/enter.h"
#include "namespaces/id_maps.h"
#include "namespaces/loopback.h"
#include "namespaces/sets.h"
#include "process/init.h"
#include "process/signals.h"
#include "rootfs/base_tree.h"
#include "rootfs/devices.h"
#include "rootfs/mounts.h"
#include "rootfs/pivot.h"

using namespace jigsaw;

namespace {

struct Options {
  std::string run_root;
  std::string rootfs;
  std::vector<std::string> command;
  std::vector<std::string> environment;
  std::string directory = "/";
  std::string hostname = "jigsaw";
  std::string namespaces = "mnt,pid,uts,ipc,net,cgroup,time";
  std::string without = "none";
  bool init = false;
};

uint64_t chosen_namespaces(const Options& options) {
  const uint64_t set = namespaces::parse(options.namespaces) & ~namespaces::parse(options.without);
  return namespaces::needs_user_namespace() ? set | namespaces::parse("user") : set;
}

bool has(uint64_t set, std::string_view kind) { return (set & namespaces::parse(kind)) != 0; }

// The root directory: what is mounted here is seen in our mount namespace only.
void enter_rootfs(const Options& options, uint64_t set) {
  if (!has(set, "mnt")) {
    sys::chdir(options.rootfs, "chroot leaves the working directory where it is");
    return sys::chroot(".", "without a mount namespace of our own only chroot is left, and nothing can be mounted");
  }
  rootfs::make_private();
  const Fd root = rootfs::bind_root(options.rootfs);
  rootfs::attach_root(root.get());
  for (const rootfs::Mount& mount : rootfs::default_mounts()) {
    if (mount.destination == "/proc" || mount.destination.starts_with("/dev")) {
      rootfs::attach(root.get(), mount);
    }
  }
  rootfs::make_devices(root.get(), rootfs::default_devices(),
                       has(set, "user") ? rootfs::DeviceMaking::kBindFromHost : rootfs::DeviceMaking::kNodes);
  rootfs::make_device_links(root.get());
  rootfs::enter_root(root.get());
}

// The child's side: its surroundings, then the program.
int become_program(const Options& options, uint64_t set, process::Gate& gate, journal::Record& record) {
  if (has(set, "uts")) {
    sys::sethostname(options.hostname, "the host name is private in a uts namespace");
  }
  if (has(set, "net")) {
    namespaces::bring_up_loopback();
  }
  enter_rootfs(options, set);

  const process::Program program{options.command, process::container_environment(options.environment)};
  sys::chdir(options.directory, "the program starts in the directory asked for");
  if (options.init) {
    record.leave_to_parent();
    return process::run_init(gate, program);
  }
  process::exec(program);
}

int run(const Options& options) {
  const uint64_t set = chosen_namespaces(options);
  if (!files::is_directory(options.rootfs)) {
    throw fail("{} is not a directory with a root file system", options.rootfs)
        .with_hint("'02-namespaces rootfs DIR' writes a small one");
  }
  journal::Record record(journal::directory_for(options.run_root), journal::common_kinds());
  process::become_subreaper();
  const process::SignalGuard guard;
  process::Child child = process::spawn({.namespaces = set}, [&](process::Gate& gate) {
    return become_program(options, set, gate, record);
  });
  record.note("process", journal::process_name(child.pid()));
  if (has(set, "user")) {
    namespaces::write_id_maps(child.pid(), namespaces::own_maps());
  }
  child.release();
  child.wait_started();
  return process::supervise(child).exit_code();
}

int list_namespaces() {
  std::vector<std::string> headings = {"PID", "CMD"};
  for (const namespaces::Kind& kind : namespaces::kinds()) {
    headings.emplace_back(kind.name);
  }
  Table table(headings);
  for (const namespaces::ProcessNamespaces& process : namespaces::list()) {
    std::vector<std::string> cells = {std::to_string(process.pid), process.command};
    for (const uint64_t id : process.ids) {
      cells.push_back(std::to_string(id));
    }
    table.add(std::move(cells));
  }
  fmt::print("{}", table.text());
  return 0;
}

int undo(const Options& options) {
  fmt::print("{}", journal::report(journal::sweep(journal::directory_for(options.run_root), journal::common_kinds())));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  return cli::run_main(argc, argv, {"02-namespaces", "run a program in namespaces of its own"}, [&](CLI::App& app) {
    app.add_option("--run-root", options.run_root, "where runs record what they made");
    CLI::App* run_command = app.add_subcommand("run", "run a program with ROOTFS as its root directory");
    run_command->add_option("--namespaces", options.namespaces, "the new ones, such as pid,net,mnt")->capture_default_str();
    run_command->add_option("--without", options.without, "leave some out, to see what they protect from");
    run_command->add_option("--hostname", options.hostname, "its host name")->capture_default_str();
    run_command->add_option("-e,--env", options.environment, "NAME=value")->allow_extra_args(false);
    run_command->add_option("-w,--cwd", options.directory, "the directory it starts in");
    run_command->add_flag("--init", options.init, "stay as PID 1 above the program, to reap and hand on signals");
    cli::take_command_line(*run_command, options.rootfs, options.command, "ROOTFS", "a directory with a root file system",
                           cli::Rest::kRequired);
    cli::on_run(*run_command, [&] { return run(options); });

    CLI::App* rootfs_command = app.add_subcommand("rootfs", "write a small root file system into the new directory DIR");
    rootfs_command->add_option("DIR", options.rootfs, "a directory that is empty or does not exist")->required();
    cli::on_run(*rootfs_command, [&] { return rootfs::write_base_rootfs(options.rootfs), 0; });

    cli::on_run(*app.add_subcommand("ls", "list the namespaces of the processes"), list_namespaces);
    cli::on_run(*app.add_subcommand("undo", "remove what killed runs left behind"), [&] { return undo(options); });
  });
}
