// 05-image: the layers come from a registry, and say how they want to be run. What 04-unionfs has, and:
//   parent   asks a registry for an image by its name, and fetches and unpacks the layers that are not here
//   child    the image's own environment, working directory and program
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/journal.h"
#include "cgroups/commands.h"
#include "cgroups/options.h"
#include "cgroups/stats.h"
#include "image/names.h"
#include "image/transport.h"
#include "namespaces/commands.h"
#include "namespaces/furnish.h"
#include "namespaces/id_maps.h"
#include "namespaces/options.h"
#include "process/commands.h"
#include "process/init.h"
#include "process/options.h"
#include "process/signals.h"
#include "rootfs/pivot.h"
#include "rootfs/surroundings.h"
#include "unionfs/commands.h"
#include "unionfs/stack.h"

using namespace jigsaw;
using namespaces::has;

namespace {

struct Options {
  std::string run_root;
  std::string root;  // "": the usual place
  std::string image;
  std::string changes;
  cgroups::CgroupOptions cgroup;
  namespaces::NamespaceOptions namespaces;
  process::ProgramOptions program;
};

image::Store store_of(const Options& options) {
  return image::Store::open(options.root.empty() ? image::default_root() : options.root);
}

// What the image says, where the command line says nothing.
process::ProgramOptions as_image_says(const image::RunConfig& config, const process::ProgramOptions& options) {
  const std::string directory = config.working_dir.empty() ? "/" : config.working_dir;
  process::ProgramOptions result{image::command_of(config, options.command), image::variables_of(config),
                                 options.directory.empty() ? directory : options.directory};
  result.environment.insert(result.environment.end(), options.environment.begin(), options.environment.end());
  return result;
}

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

int run(Options options) {
  const uint64_t set = namespaces::chosen(options.namespaces);
  const image::Store store = store_of(options);
  const files::Lock lock = store.use();
  const auto progress = progress::make_reporter(2);
  const image::Image image = image::find_or_pull(store, options.image, {.progress = progress.get()});
  options.program = as_image_says(image.config.config, options.program);

  const std::string records = journal::directory_for(options.run_root);
  journal::Record record(records, cgroups::journal_kinds());
  const std::optional<cgroups::Cgroup> cgroup = cgroups::make_for(options.cgroup, record);
  const std::string changes = options.changes.empty() ? records + "/" + options.cgroup.name : unionfs::kept_changes(options.changes);
  record.note("directory", changes + (options.changes.empty() ? "" : "/work"));  // what nobody asked to keep goes with the run
  const unionfs::Overlay overlay = unionfs::stack(store.lower_directories(store.unpack_image(image, {})), changes);

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

int pull(const Options& options) {
  const auto progress = progress::make_reporter(2);
  fmt::print("{}\n", image::pull_by_name(store_of(options), options.image, {.progress = progress.get()}).id().text());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  return cli::run_main(argc, argv, {"05-image", "run a program from an image"}, [&](CLI::App& app) {
    app.add_option("--root", options.root, "where images are kept (default /var/lib/jigsaw, rootless ~/.local/share/jigsaw)")
        ->check(cli::refuse_empty);
    CLI::App* run_command = app.add_subcommand("run", "run an image's program, or another one in it");
    run_command->add_option("--changes", options.changes, "keep its changes in this directory")->check(cli::refuse_empty);
    cgroups::add_cgroup_options(*run_command, options.cgroup);
    namespaces::add_namespace_options(*run_command, options.namespaces);
    process::add_program_options(*run_command, options.program);
    cli::take_command_line(*run_command, options.image, options.program.command, "IMAGE",
                           "[registry/][user/]name[:tag]; jigsaw/base is built in");
    cli::on_run(*run_command, [&] { return run(options); });

    CLI::App* pull_command = app.add_subcommand("pull", "fetch an image, or what is new of it");
    pull_command->add_option("IMAGE", options.image, "[registry/][user/]name[:tag]")->required();
    cli::on_run(*pull_command, [&] { return pull(options); });
    unionfs::add_diff_command(app, "IMAGE", "the image it ran on", [&](const std::string& name) {
      const image::Store store = store_of(options);
      return store.lower_directories(store.unpack_image(image::named_image(store, name), {}));
    });
    process::add_process_commands(app);
    namespaces::add_namespace_commands(app);
    cgroups::add_cgroup_commands(app);
    cli::add_records(app, options.run_root, cgroups::journal_kinds());
  });
}
