// 04-unionfs: the root directory is made of layers. What 03-cgroups has, and:
//   parent   a place for the changes of this run, noted so that it goes with the run
//   child    the layers stacked into one file system, which becomes its root
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
#include "unionfs/commands.h"
#include "unionfs/stack.h"

using namespace jigsaw;
using namespaces::has;

namespace {

struct Options {
  std::string run_root;
  std::string layers;
  std::string changes;
  cgroups::CgroupOptions cgroup;
  namespaces::NamespaceOptions namespaces;
  process::ProgramOptions program{.directory = "/"};
};

// The root directory: what is mounted here is seen in our mount namespace only.
void enter_rootfs(const unionfs::Overlay& overlay, uint64_t set) {
  namespaces::require(set, "mnt", "layers can't be stacked without a mount namespace");
  rootfs::make_private();
  const Fd root = unionfs::mount_overlay(overlay);
  rootfs::attach_root(root.get());
  rootfs::mount_surroundings(root.get(), set);
  rootfs::enter_root(root.get());
}

// The child's side: its surroundings, then the program.
int become_program(const Options& options, uint64_t set, const std::optional<cgroups::Cgroup>& cgroup,
                   const unionfs::Overlay& overlay, process::Gate& gate, journal::Record& record) {
  if (cgroup) {
    cgroup->join();
  }
  namespaces::furnish(set, options.namespaces, options.cgroup.name);
  enter_rootfs(overlay, set);

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
  const std::string records = journal::directory_for(options.run_root);
  journal::Record record(records, cgroups::journal_kinds());
  const std::optional<cgroups::Cgroup> cgroup = cgroups::make_for(options.cgroup, record);
  const bool keeps = !options.changes.empty();
  const std::string changes = keeps ? unionfs::kept_changes(options.changes, options.layers) : records + "/" + options.cgroup.name;
  record.note("directory", changes + (keeps ? "/work" : ""));  // what nobody asked to keep goes with the run
  const unionfs::Overlay overlay = unionfs::stack(options.layers, changes);

  process::become_subreaper();
  const process::SignalGuard guard;
  const process::SpawnOptions birth{.namespaces = namespaces::at_birth(set, options.namespaces),
                                    .cgroup = cgroup ? cgroup->unified() : -1};
  process::Child child = process::spawn(birth, [&](process::Gate& gate) {
    return become_program(options, set, cgroup, overlay, gate, record);
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

int write_layers(const Options& options) {
  journal::Record record(journal::directory_for(options.run_root), cgroups::journal_kinds());
  rootfs::write_base_layers(options.layers, record);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  return cli::run_main(argc, argv, {"04-unionfs", "run a program on layers"}, [&](CLI::App& app) {
    CLI::App* run_command = app.add_subcommand("run", "run a program on the layers in LAYERS");
    run_command->add_option("--changes", options.changes, "keep its changes in this directory")->check(cli::refuse_empty);
    cgroups::add_cgroup_options(*run_command, options.cgroup);
    namespaces::add_namespace_options(*run_command, options.namespaces);
    process::add_program_options(*run_command, options.program);
    cli::take_command_line(*run_command, options.layers, options.program.command, "LAYERS", "a directory of layers",
                           cli::Rest::kRequired);
    cli::on_run(*run_command, [&] { return run(options); });

    CLI::App* layers_command = app.add_subcommand("layers", "write the layers of a small system into DIR");
    layers_command->add_option("DIR", options.layers, "empty or not there yet")->required();
    cli::on_run(*layers_command, [&] { return write_layers(options); });

    unionfs::add_diff_command(app, "LAYERS", "the layers it ran on", unionfs::layers_in);
    process::add_process_commands(app);
    namespaces::add_namespace_commands(app);
    cgroups::add_cgroup_commands(app);
    cli::add_records(app, options.run_root, cgroups::journal_kinds());
  });
}
