// 03-cgroups: the process gets a part of the machine, and no more. What 02-namespaces has, and:
//   parent   makes a cgroup and writes the limits before there is a child; tells afterwards what the kernel did to it
//   child    joins the cgroup before anything else
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/files.h"
#include "base/journal.h"
#include "base/log.h"
#include "base/table.h"
#include "cgroups/cgroup.h"
#include "cgroups/stats.h"
#include "namespaces/id_maps.h"
#include "namespaces/loopback.h"
#include "namespaces/sets.h"
#include "process/exec.h"
#include "process/init.h"
#include "process/signals.h"
#include "process/spawn.h"
#include "rootfs/base_tree.h"
#include "rootfs/devices.h"
#include "rootfs/mounts.h"
#include "rootfs/pivot.h"

using namespace jigsaw;

namespace {

struct Options {
  std::string run_root;
  std::string rootfs;
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
void enter_rootfs(const Options& options, uint64_t set) {
  rootfs::make_private();
  const Fd root = rootfs::bind_root(options.rootfs);
  rootfs::attach_root(root.get());
  for (const rootfs::Mount& mount : rootfs::default_mounts()) {
    if (mount.destination == "/proc" || mount.destination.starts_with("/dev")) {
      rootfs::attach(root.get(), mount);
    }
  }
  const bool user = (set & namespaces::parse("user")) != 0;
  rootfs::make_devices(root.get(), rootfs::default_devices(),
                       user ? rootfs::DeviceMaking::kBindFromHost : rootfs::DeviceMaking::kNodes);
  rootfs::make_device_links(root.get());
  rootfs::enter_root(root.get());
}

// The child's side: its surroundings, then the program.
int become_program(const Options& options, uint64_t set, const std::optional<cgroups::Cgroup>& cgroup) {
  if (cgroup) {
    cgroup->join();
  }
  sys::unshare(static_cast<int>(namespaces::parse("cgroup")), "its cgroup is the root of all that it sees of the tree");
  sys::sethostname(options.name, "the host name is private in a uts namespace");
  namespaces::bring_up_loopback();
  enter_rootfs(options, set);
  process::exec({options.command, process::container_environment({})});
}

int run(const Options& options) {
  uint64_t set = namespaces::parse("mnt,pid,uts,ipc,net");
  set |= namespaces::needs_user_namespace() ? namespaces::parse("user") : 0;
  journal::Record record(journal::directory_for(options.run_root), kinds());
  const std::optional<cgroups::Cgroup> cgroup = make_cgroup(options, record);

  process::become_subreaper();
  const process::SignalGuard guard;
  process::Child child = process::spawn({.namespaces = set, .cgroup = cgroup ? cgroup->unified() : -1},
                                        [&](process::Gate&) { return become_program(options, set, cgroup); });
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

int stats() {
  const cgroups::Layout layout = cgroups::read_layout();
  Table table({"NAME", "PROCESSES", "MEMORY", "CPU", "DISKS"});
  for (const std::string& path : cgroups::find_cgroups(layout, "jigsaw-")) {
    const cgroups::StatsTexts texts = cgroups::describe(cgroups::read_stats(cgroups::Cgroup::open(layout, path)));
    table.add({path.substr(8), texts.pids, texts.memory, texts.cpu, texts.io});
  }
  fmt::print("{}\n{}", layout.describe(), table.text());
  return 0;
}

int undo(const Options& options) {
  fmt::print("{}", journal::report(journal::sweep(journal::directory_for(options.run_root), kinds())));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  return cli::run_main(argc, argv, {"03-cgroups", "run a program with a part of the machine"}, [&](CLI::App& app) {
    app.add_option("--run-root", options.run_root, "where runs record what they made");
    CLI::App* run_command = app.add_subcommand("run", "run a program with ROOTFS as its root directory, and limits");
    run_command->add_option("--name", options.name, "the name of its cgroup, and its host name");
    for (const cgroups::LimitOption& option : cgroups::limit_options()) {
      run_command->add_option(option.name, options.limits.*option.text, option.help);
    }
    for (const cgroups::LimitListOption& option : cgroups::limit_list_options()) {
      run_command->add_option(option.name, options.limits.*option.texts, option.help)->allow_extra_args(false);
    }
    cli::take_command_line(*run_command, options.rootfs, options.command, "ROOTFS", "a directory with a root file system",
                           cli::Rest::kRequired);
    cli::on_run(*run_command, [&] { return run(options); });

    CLI::App* rootfs_command = app.add_subcommand("rootfs", "write a small root file system into the new directory DIR");
    rootfs_command->add_option("DIR", options.rootfs, "a directory that is empty or does not exist")->required();
    cli::on_run(*rootfs_command, [&] { return rootfs::write_base_rootfs(options.rootfs), 0; });

    cli::on_run(*app.add_subcommand("stats", "what the running ones use"), stats);
    cli::on_run(*app.add_subcommand("undo", "remove what killed runs left behind"), [&] { return undo(options); });
  });
}
