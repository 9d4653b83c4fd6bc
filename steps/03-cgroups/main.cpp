// 03-cgroups: the process gets a part of the machine, and no more. What 02-namespaces has, and:
//   parent   makes a cgroup and writes the limits before there is a child; tells afterwards what the kernel did to it
//   child    joins the cgroup before anything else
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/journal.h"
#include "cgroups/commands.h"
#include "cgroups/options.h"
#include "cgroups/stats.h"
#include "namespaces/commands.h"
#include "namespaces/furnish.h"
#include "namespaces/id_maps.h"
#include "namespaces/options.h"
#include "process/commands.h"
#include "process/init.h"
#include "process/options.h"
#include "process/signals.h"
#include "rootfs/base_tree.h"
#include "rootfs/pivot.h"
#include "rootfs/surroundings.h"

using namespace jigsaw;
using namespaces::has;

namespace {

struct Options {
  std::string run_root;
  std::string rootfs;
  cgroups::CgroupOptions cgroup;
  namespaces::NamespaceOptions namespaces;
  process::ProgramOptions program{.directory = "/"};
};

// The root directory: what is mounted here is seen in our mount namespace only.
void enter_rootfs(const Options& options, uint64_t set) {
  if (!has(set, "mnt")) {
    sys::chdir(options.rootfs, "chroot leaves the working directory where it is");
    return sys::chroot(".", "without a mount namespace of our own only chroot is left, and nothing can be mounted");
  }
  rootfs::make_private();
  const Fd root = rootfs::bind_root(options.rootfs);
  rootfs::attach_root(root.get());
  rootfs::mount_surroundings(root.get(), set);
  rootfs::enter_root(root.get());
}

// The child's side: its surroundings, then the program.
int become_program(const Options& options, uint64_t set, const std::optional<cgroups::Cgroup>& cgroup, process::Gate& gate,
                   journal::Record& record) {
  if (cgroup) {
    cgroup->join();
  }
  namespaces::furnish(set, options.namespaces, options.cgroup.name);
  enter_rootfs(options, set);

  const process::Program program{options.program.command, process::container_environment(options.program.environment)};
  sys::chdir(options.program.directory, "the program starts in the directory asked for");
  if (options.namespaces.init) {
    record.leave_to_parent();
    return process::run_init(gate, program);
  }
  process::exec(program);
}

int run(const Options& options) {
  const uint64_t set = namespaces::chosen(options.namespaces);
  rootfs::require_directory(options.rootfs, "03-cgroups rootfs DIR");
  journal::Record record(journal::directory_for(options.run_root), cgroups::journal_kinds());
  const std::optional<cgroups::Cgroup> cgroup = cgroups::make_for(options.cgroup, record);

  process::become_subreaper();
  const process::SignalGuard guard;
  const process::SpawnOptions birth{.namespaces = namespaces::at_birth(set, options.namespaces),
                                    .cgroup = cgroup ? cgroup->unified() : -1};
  process::Child child = process::spawn(birth, [&](process::Gate& gate) {
    return become_program(options, set, cgroup, gate, record);
  });
  record.note("process", journal::process_name(child.pid()));
  if (has(set, "user")) {
    namespaces::write_id_maps(child.pid(), namespaces::own_maps());
  }
  child.release();
  child.wait_started();
  const int code = process::supervise(child).exit_code();
  cgroups::warn_of_oom(cgroup);
  return code;
}

int write_rootfs(const Options& options) {
  journal::Record record(journal::directory_for(options.run_root), cgroups::journal_kinds());
  rootfs::write_base_rootfs(options.rootfs, record);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  return cli::run_main(argc, argv, {"03-cgroups", "run a program with a part of the machine"}, [&](CLI::App& app) {
    CLI::App* run_command = app.add_subcommand("run", "run a program with ROOTFS as its root directory, and limits");
    cgroups::add_cgroup_options(*run_command, options.cgroup);
    namespaces::add_namespace_options(*run_command, options.namespaces);
    process::add_program_options(*run_command, options.program);
    cli::take_command_line(*run_command, options.rootfs, options.program.command, "ROOTFS", "a directory with a root file system",
                           cli::Rest::kRequired);
    cli::on_run(*run_command, [&] { return run(options); });

    CLI::App* rootfs_command = app.add_subcommand("rootfs", "write a small root file system into the new directory DIR");
    rootfs_command->add_option("DIR", options.rootfs, "a directory that is empty or does not exist")->required();
    cli::on_run(*rootfs_command, [&] { return write_rootfs(options); });

    process::add_process_commands(app);
    namespaces::add_namespace_commands(app);
    cgroups::add_cgroup_commands(app);
    cli::add_records(app, options.run_root, cgroups::journal_kinds());
  });
}
