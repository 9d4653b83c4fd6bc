// 05-image: the layers come from a registry, and say how they want to be run. What 04-unionfs has, and:
//   parent   asks a registry for an image by its name, and fetches and unpacks the layers that are not here
//   child    the image's own environment, working directory and program
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/files.h"
#include "base/journal.h"
#include "base/log.h"
#include "cgroups/cgroup.h"
#include "cgroups/stats.h"
#include "image/transport.h"
#include "namespaces/id_maps.h"
#include "namespaces/loopback.h"
#include "namespaces/sets.h"
#include "process/init.h"
#include "process/signals.h"
#include "rootfs/devices.h"
#include "rootfs/mounts.h"
#include "rootfs/pivot.h"
#include "unionfs/overlay.h"

using namespace jigsaw;

namespace {

struct Options {
  std::string root = image::default_root();
  std::string run_root;
  std::string image;
  std::string name = files::random_hex(4);
  std::vector<std::string> command;
  cgroups::LimitTexts limits;
};

journal::Kinds kinds() {
  journal::Kinds kinds = journal::common_kinds();
  kinds["cgroup"] = cgroups::undo_cgroup;
  return kinds;
}

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

int run(const Options& options) {
  const image::Store store = image::Store::open(options.root);
  const files::Lock lock = store.use();
  const auto progress = progress::make_reporter(2);
  const image::Image image = image::find_or_pull(store, options.image, {.progress = progress.get()});
  const auto layers = store.unpack_image(image, {});

  uint64_t set = namespaces::parse("mnt,pid,uts,ipc,net");
  set |= namespaces::needs_user_namespace() ? namespaces::parse("user") : 0;
  const std::string records = journal::directory_for(options.run_root);
  journal::Record record(records, kinds());
  const std::string changes = records + "/" + options.name;
  record.note("directory", changes);
  files::make_directories(changes + "/upper");
  files::make_directories(changes + "/work");
  const unionfs::Overlay overlay{.lowers = store.lower_directories(layers), .upper = changes + "/upper", .work = changes + "/work"};
  const std::optional<cgroups::Cgroup> cgroup = make_cgroup(options, record);

  process::become_subreaper();
  const process::SignalGuard guard;
  process::Child child = process::spawn({.namespaces = set, .cgroup = cgroup ? cgroup->unified() : -1}, [&](process::Gate&) -> int {
    if (cgroup) {
      cgroup->join();
    }
    sys::unshare(static_cast<int>(namespaces::parse("cgroup")), "its cgroup is the root of all that it sees of the tree");
    sys::sethostname(options.name, "the host name is private in a uts namespace");
    namespaces::bring_up_loopback();
    enter_rootfs(overlay, set);
    const std::string& directory = image.config.config.working_dir;
    sys::chdir(directory.empty() ? "/" : directory, "where the image wants its program to start");
    process::exec({image::command_of(image.config.config, options.command),
                   process::container_environment(image.config.config.env), ""});
  });
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

}  // namespace

int main(int argc, char** argv) {
  Options options;
  return cli::run_main(argc, argv, {"05-image", "run a program from an image"}, [&](CLI::App& app) {
    app.add_option("--root", options.root, "where images are kept");
    app.add_option("--run-root", options.run_root, "where runs record what they made");
    CLI::App* run_command = app.add_subcommand("run", "run an image's program, or another one in it");
    for (const cgroups::LimitOption& option : cgroups::limit_options()) {
      run_command->add_option(option.name, options.limits.*option.text, option.help);
    }
    cli::take_command_line(*run_command, options.image, options.command, "IMAGE", "[registry/][user/]name[:tag]; jigsaw/base is built in");
    cli::on_run(*run_command, [&] { return run(options); });
    CLI::App* pull_command = app.add_subcommand("pull", "fetch an image, or what is new of it");
    pull_command->add_option("IMAGE", options.image, "[registry/][user/]name[:tag]")->required();
    cli::on_run(*pull_command, [&] {
      const auto progress = progress::make_reporter(2);
      fmt::print("{}\n", image::pull_by_name(image::Store::open(options.root), options.image, {.progress = progress.get()}).id().text());
      return 0;
    });
    cli::on_run(*app.add_subcommand("undo", "remove what killed runs left behind"), [&] {
      fmt::print("{}", journal::report(journal::sweep(journal::directory_for(options.run_root), kinds())));
      return 0;
    });
  });
}
