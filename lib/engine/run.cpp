#include "engine/run.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/explain.h"
#include "base/log.h"
#include "base/text.h"
#include "image/names.h"
#include "image/store.h"
#include "process/exec.h"
#include "runtime/container.h"
#include "security/user.h"
#include "unionfs/overlay.h"

namespace jigsaw::engine {
namespace {

std::string state_root(const Paths& paths) { return paths.run_root + "/containers"; }

// The files that every container has of its own, whatever its image holds. Its directory is new: nobody reads them yet.
void write_own_files(const std::string& place, const RunOptions& options, const std::string& hostname) {
  const auto write = [&](const char* name, const std::string& text) {
    const std::string path = fmt::format("{}/{}", place, name);
    const Fd file = files::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    check(::fchmod(file.get(), 0644), "change the mode of {}", path);  // past the umask
    files::write_all(file.get(), text, path);
  };
  write("hostname", hostname + "\n");
  const std::string more = text::join(options.hosts, "");
  if (options.network == "host") {
    write("hosts", files::read_if_exists("/etc/hosts").value_or("") + more);
    write("resolv.conf", files::read_if_exists("/etc/resolv.conf").value_or(""));
  } else {
    write("hosts", fmt::format("127.0.0.1\tlocalhost {0}\n::1\tlocalhost {0}\n", hostname) + more);
  }
}

// A container that is being run: its record, and the promise that it is cleared up.
class Running {
 public:
  Running(const Paths& paths, Container& container)
      : paths_(paths), container_(container), lock_(create(paths, container)) {}
  ~Running() {
    try {
      if (finished_ && !container_.remove_after) {
        container_.status = Status::kExited;
        container_.finished = std::chrono::system_clock::now();
        save(paths_, container_);
        forget_lock(paths_, container_.id);
      } else {
        erase(paths_, container_);
      }
    } catch (const Error& error) {
      log::warning("container {} could not be cleared up: {}", container_.name, error.what());
    }
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void starting(const image::Store& store) {
    container_.status = Status::kRunning;
    save(paths_, container_);
    hold(paths_, store, container_);
  }
  void finished(int code, std::string reason) {
    container_.exit_code = code;
    container_.reason = std::move(reason);
    finished_ = true;
  }

 private:
  const Paths& paths_;
  Container& container_;
  files::Lock lock_;
  bool finished_ = false;
};

Fd mount_layers(const image::Store& store, const std::vector<image::LayerDirectory>& layers,
                const std::string& changes, const std::string& work) {
  return unionfs::mount_overlay({.lowers = store.lower_directories(layers),
                                 .upper = changes,
                                 .work = work,
                                 .is_volatile = true},
                                "the image's layers as one file system, the container's own layer on top");
}

// Without -i the program reads an empty stdin, as under docker: it must not eat its caller's.
void close_input() {
  const Fd nothing = files::open("/dev/null", O_RDONLY);
  check(::dup2(nothing.get(), STDIN_FILENO), "close standard input");
}

}  // namespace

int run(const Paths& paths, const RunOptions& options, const std::function<int()>& fetch) {
  sweep(paths);
  const image::Store store = image::Store::open(paths.root);
  std::optional<files::Lock> in_use = store.use();
  std::optional<image::Tag> tag = image::find_named(store, options.image);
  if (!tag && fetch) {
    in_use.reset();  // the one who fetches takes it
    if (const int code = fetch(); code != 0) {
      return code;
    }
    in_use = store.use();
  }
  const image::Image image = tag ? image::read_tagged(store, *tag, options.image) : image::named_image(store, options.image);
  const std::vector<image::LayerDirectory> layers = store.unpack_image(image, {});

  Container container{.name = options.name,
                      .image = options.image,
                      .image_id = image.id().text(),
                      .command = command_of(image.config.config, options),
                      .remove_after = options.remove_after};
  Running running(paths, container);
  const std::string own = directory(paths, container.id);
  container.holds.images = {image.descriptor.digest};
  for (const image::LayerDirectory& layer : layers) {
    container.holds.layers.push_back(layer.key);
  }

  const Fd root = mount_layers(store, layers, changes(paths, container.id), own);
  const std::string wanted_user = options.user.empty() ? image.config.config.user : options.user;
  const security::AccountFiles accounts = security::read_account_files(root.get());
  security::User user = security::resolve_user(wanted_user, accounts);
  for (const std::string& group : options.groups) {
    user.groups.push_back(security::resolve_group(group, accounts));
  }
  write_own_files(own, options, options.hostname.empty() ? container.id.substr(0, 12) : options.hostname);
  const runtime::Spec spec = plan(
      {.config = image.config.config, .options = options, .user = user, .id = container.id, .files = own});
  container.process = process_json(*spec.process);
  if (!options.interactive) {
    close_input();
  }

  std::optional<std::string> out_of_memory;
  const process::ExitStatus status =
      runtime::run(spec,
                   {.state_root = state_root(paths),
                    .id = container.id,
                    .bundle = own,
                    .root_mount = [&] { return duplicate(root.get()); }},
                   {.starting = [&](const runtime::State&) {
                     running.starting(store);
                     in_use.reset();  // the hold is enough from here on: others may clean up while it runs
                   }}, &out_of_memory);
  running.finished(status.exit_code(), out_of_memory.value_or(""));
  if (out_of_memory) {
    log::warning("{}", *out_of_memory);
  }
  return status.exit_code();
}

int exec(const Paths& paths, const std::string& name_or_id, const ExecOptions& options) {
  const Container container = find(paths, name_or_id);
  if (container.status != Status::kRunning) {
    throw Error(fmt::format("container {} does not run: it is {}", container.name, name(container.status)),
                "jigsaw ps lists those that do");
  }
  const auto state = runtime::StateFile::open(state_root(paths), container.id).load();
  runtime::Process process = process_of(container);
  process.args = options.arguments;
  process.terminal = options.terminal;
  const Fd root = files::open(fmt::format("/proc/{}/root", state.pid), O_PATH | O_DIRECTORY);
  if (!options.user.empty()) {
    const security::User user =
        security::resolve_user(options.user, security::read_account_files(root.get()));
    process.uid = user.uid;
    process.gid = user.gid;
    process.additional_gids = user.groups;
    process.capabilities = security::for_user(process.capabilities->bounding, user.uid);
  }
  if (options.privileged) {
    process.capabilities = security::for_user(security::every_capability(), process.uid);
  }
  if (!options.working_directory.empty()) {
    process.cwd = options.working_directory;
  }
  if (options.terminal && process::find_variable(process.env, "TERM") == nullptr) {
    process.env.emplace_back("TERM=xterm");  // as plan() does it for the container's own program
  }
  for (const std::string& variable : options.environment) {
    process::set_variable(process.env, variable);
  }
  if (!options.interactive) {
    close_input();
  }
  return runtime::exec(process, {.state_root = state_root(paths), .id = container.id}).exit_code();
}

void kill(const Paths& paths, const Container& container, int signal) {
  if (container.status != Status::kRunning) {
    throw fail("container {} does not run: it is {}", container.name, name(container.status));
  }
  if (signal != SIGKILL) {
    runtime::kill(state_root(paths), container.id, signal, runtime::Reach::kInit);
    return;
  }
  // Whoever runs it clears up and lets go of the lock; the removal that may follow must not come in between.
  // He may be quicker than the last steps of our kill, which then find nothing, or not yet at the program's start: an
  // error counts only if the container lives on.
  std::optional<Error> problem;
  for (int tries = 0; tries < 500; ++tries) {
    if (lock_running(paths, container.id)) {
      return;
    }
    try {
      runtime::kill(state_root(paths), container.id, SIGKILL, runtime::Reach::kAll);
    } catch (const Error& error) {
      problem = error;
    }
    ::usleep(10'000);
  }
  throw problem.value_or(fail("container {} does not end", container.name));
}

std::vector<std::string> sweep(const Paths& paths) {
  std::vector<std::string> swept;
  for (const std::string& id : lock_names(paths)) {
    const auto lock = lock_running(paths, id);
    if (!lock) {
      continue;  // it lives
    }
    explain::note(
        fmt::format("container {}: its jigsaw was killed; what is left of it is removed", id.substr(0, 12)));
    runtime::remove(state_root(paths), id, runtime::Force::kYes);
    clear_up_after_kill(paths, id);
    swept.push_back(id);
  }
  return swept;
}

}  // namespace jigsaw::engine
