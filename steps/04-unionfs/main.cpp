// 04-unionfs: the root directory is made of layers. What 03-cgroups has, and:
//   parent   a place for the changes of this run, noted so that it goes with the run
//   child    the layers stacked into one file system, which becomes its root
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/files.h"
#include "base/journal.h"
#include "base/log.h"
#include "cgroups/cgroup.h"
#include "cgroups/stats.h"
#include "namespaces/id_maps.h"
#include "namespaces/loopback.h"
#include "namespaces/sets.h"
#include "process/init.h"
#include "process/signals.h"
#include "rootfs/base_tree.h"
#include "rootfs/devices.h"
#include "rootfs/mounts.h"
#include "rootfs/pivot.h"
#include "unionfs/changes.h"
#include "unionfs/stack.h"

using namespace jigsaw;

namespace {

struct Options {
  std::string run_root;
  std::string layers;
  std::string changes;
  std::string name = files::random_hex(4);
  std::vector<std::string> command;
  cgroups::LimitTexts limits;
};

journal::Kinds kinds() {
  journal::Kinds kinds = journal::common_kinds();
  kinds["cgroup"] = cgroups::undo_cgroup;
  return kinds;
}

// The cgroup with its limits; none if nothing is to be limited and we may not make one.
std::optional<cgroups::Cgroup> make_cgroup(const Options& options, journal::Record& record) {
  const cgroups::Limits limits = cgroups::parse_limits(options.limits);
  const cgroups::Layout layout = cgroups::read_layout();
  const std::string path = cgroups::usual_path(layout, "jigsaw-" + options.name);
  if (cgroups::asks_for_nothing(limits) && !cgroups::may_create(layout, path)) {
    return std::nullopt;
  }
  record.note("cgroup", path);
  cgroups::Cgroup cgroup = cgroups::Cgroup::create(layout, path);
  cgroup.apply(limits);
  return cgroup;
}

// The root directory: what is mounted here is seen in our mount namespace only.
void enter_rootfs(const unionfs::Overlay& overlay, uint64_t set) {
  rootfs::make_private();
  const Fd root = unionfs::mount_overlay(overlay);
  rootfs::attach_root(root.get());
  for (const rootfs::Mount& mount : rootfs::default_mounts()) {
    if (mount.destination == "/proc" || mount.destination.starts_with("/dev")) {
      rootfs::attach(root.get(), mount);
    }
  }
  rootfs::make_devices(root.get(), rootfs::default_devices(),
                       (set & namespaces::parse("user")) != 0 ? rootfs::DeviceMaking::kBindFromHost : rootfs::DeviceMaking::kNodes);
  rootfs::make_device_links(root.get());
  rootfs::enter_root(root.get());
}

// The child's side: its surroundings, then the program.
int become_program(const Options& options, uint64_t set, const std::optional<cgroups::Cgroup>& cgroup,
                   const unionfs::Overlay& overlay) {
  if (cgroup) {
    cgroup->join();
  }
  sys::unshare(static_cast<int>(namespaces::parse("cgroup")), "its cgroup is the root of all that it sees of the tree");
  sys::sethostname(options.name, "the host name is private in a uts namespace");
  namespaces::bring_up_loopback();
  enter_rootfs(overlay, set);
  process::exec({options.command, process::container_environment({})});
}

int run(const Options& options) {
  uint64_t set = namespaces::parse("mnt,pid,uts,ipc,net");
  set |= namespaces::needs_user_namespace() ? namespaces::parse("user") : 0;
  const std::string records = journal::directory_for(options.run_root);
  journal::Record record(records, kinds());
  const std::string changes = options.changes.empty() ? records + "/" + options.name : options.changes;
  if (options.changes.empty()) {
    record.note("directory", changes);  // nobody asked to keep them: they go with the run
  }
  const unionfs::Overlay overlay = unionfs::stack(options.layers, changes);
  const std::optional<cgroups::Cgroup> cgroup = make_cgroup(options, record);

  process::become_subreaper();
  const process::SignalGuard guard;
  process::Child child = process::spawn({.namespaces = set, .cgroup = cgroup ? cgroup->unified() : -1},
                                        [&](process::Gate&) { return become_program(options, set, cgroup, overlay); });
  record.note("process", journal::process_name(child.pid()));
  if ((set & namespaces::parse("user")) != 0) {
    namespaces::write_id_maps(child.pid(), namespaces::own_maps());
  }
  child.release();
  child.wait_started();
  const int code = process::supervise(child).exit_code();
  if (const auto notice = cgroup ? cgroups::oom_notice(*cgroup) : std::nullopt) {
    log::warning("{}", *notice);
  }
  return code;
}

int print(const std::string& text) {
  fmt::print("{}", text);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  return cli::run_main(argc, argv, {"04-unionfs", "run a program on layers"}, [&](CLI::App& app) {
    app.add_option("--run-root", options.run_root, "where runs record what they made");
    CLI::App* run_command = app.add_subcommand("run", "run a program on the layers in LAYERS");
    run_command->add_option("--name", options.name, "the name of its cgroup, and its host name");
    run_command->add_option("--changes", options.changes, "keep its changes in this directory");
    for (const cgroups::LimitOption& option : cgroups::limit_options()) {
      run_command->add_option(option.name, options.limits.*option.text, option.help);
    }
    cli::take_command_line(*run_command, options.layers, options.command, "LAYERS", "a directory of layers", cli::Rest::kRequired);
    cli::on_run(*run_command, [&] { return run(options); });

    CLI::App* layers_command = app.add_subcommand("layers", "write the layers of a small system into DIR");
    layers_command->add_option("DIR", options.layers, "empty or not there yet")->required();
    cli::on_run(*layers_command, [&] { return rootfs::write_base_layers(options.layers), 0; });

    CLI::App* diff_command = app.add_subcommand("diff", "what a run with --changes wrote");
    diff_command->add_option("LAYERS", options.layers, "the layers it ran on")->required();
    diff_command->add_option("CHANGES", options.changes, "where its changes are")->required();
    cli::on_run(*diff_command, [&] {
      const auto lowers = unionfs::layers_in(options.layers);
      return print(unionfs::listing(unionfs::changes(options.changes + "/upper", lowers, unionfs::usable_xattrs())));
    });
    cli::on_run(*app.add_subcommand("undo", "remove what killed runs left behind"), [&] {
      return print(journal::report(journal::sweep(journal::directory_for(options.run_root), kinds())));
    });
  });
}
