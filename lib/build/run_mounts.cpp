#include "build/run_mounts.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "build/content_hash.h"
#include "build/copy.h"
#include "build/glob.h"
#include "build/layers.h"
#include "unionfs/overlay.h"

namespace jigsaw::build {
namespace {

constexpr size_t kSecretLimit = 500 << 10;  // bytes, as BuildKit's

// Of the mount number `index` of its RUN.
std::string target_of(const Mount& mount, size_t index, const std::string& directory) {
  std::string target = mount.target;
  if (target.empty() && mount.type == Mount::Type::kSecret) {
    target = "/run/secrets/" + base_name(mount.id);
  } else if (target.empty() && mount.type == Mount::Type::kSsh) {
    target = fmt::format("/run/buildkit/ssh_agent.{}", index);
  }
  const std::string path = target.starts_with('/') ? clean_path(target) : join_path(directory.empty() ? "/" : directory, target);
  if (path == "/") {
    throw fail("invalid mount target {}: a mount can't cover the whole file system", text::quoted(path));
  }
  return path;
}

// What of a mount belongs to the step's key. A bind's source does not, its content does; nor does the name of a cache,
// which may hold anything. That a cache has a name of its own counts, as with BuildKit.
std::string describe(const Mount& mount, const std::string& target) {
  std::string name = mount.id;
  if (mount.type == Mount::Type::kCache) {
    const bool is_default = mount.sharing == Mount::Sharing::kShared && (name.empty() || name == target);
    name = is_default ? "" : "named";
  }
  return fmt::format("{} target={} ro={} id={} env={} required={} size={} mode={} uid={} gid={}",
                     static_cast<int>(mount.type), target, mount.read_only, name, mount.env.value_or(""), mount.required,
                     mount.size, mount.mode.value_or(0), mount.uid.value_or(0), mount.gid.value_or(0));
}

void write_owned(const std::string& path, std::string_view content, const Mount& mount, mode_t mode) {
  const Fd fd = files::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  files::write_all(fd.get(), content, "a secret");
  check(::fchown(fd.get(), mount.uid.value_or(0), mount.gid.value_or(0)), "change the owner of a secret");
  check(::fchmod(fd.get(), mount.mode.value_or(mode) & 0777), "change the mode of a secret");
}

std::optional<std::string> secret_value(const BuildOptions& options, const std::string& id) {
  const auto found = options.secrets.find(id);
  if (found == options.secrets.end()) {
    return std::nullopt;
  }
  if (!found->second.environment.empty()) {
    const char* value = std::getenv(found->second.environment.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  }
  return files::read(found->second.file, kSecretLimit);
}

}  // namespace

RunMounts::RunMounts(StageRunner& runner, const Run& run) : runner_(runner), run_(run), binds_(run.mounts.size()) {
  for (size_t i = 0; i < run.mounts.size(); ++i) {
    target_of(run.mounts[i], i, runner.result().config.config.working_dir);
    if (run.mounts[i].type == Mount::Type::kBind ||
        (run.mounts[i].type == Mount::Type::kCache && !run.mounts[i].from.empty())) {
      find_bind(i);
    }
  }
}

void RunMounts::find_bind(size_t index) {
  const Mount& mount = run_.mounts[index];
  Workshop& workshop = runner_.workshop();
  Origin origin = runner_.step().origins.at(index);
  if (origin.kind == Origin::Kind::kNone) {
    origin.kind = Origin::Kind::kContext;
  }
  Bind bind{.tree = std::make_shared<Tree>(workshop.tree_of(origin))};
  bind.path = bind.tree->resolve(clean_path(mount.source));
  bind.from_context = workshop.result_of(origin) == nullptr;
  const std::optional<Tree::Node> node = bind.tree->find(bind.path);
  if (!node) {
    throw system_error(ENOENT, fmt::format("{}: not found", text::quoted(clean_path(mount.source))))
        .with_hint(fmt::format("it is the source of --mount with target={}", mount.target));
  }
  bind.is_directory = S_ISDIR(node->status.st_mode);
  CopySource source{.tree = bind.tree.get(), .path = bind.path, .shown = mount.source,
                    .names = CopySource::Names::kLiteral};
  if (bind.from_context) {
    source.seen_as = Owner{};
  }
  bind.digest = content_digest(source, {bind.path, "bind"},
                               bind.from_context ? workshop.context_hashes : workshop.layer_hashes).text();
  binds_[index] = std::move(bind);
}

void RunMounts::add_inputs(StepInputs& inputs) const {
  for (size_t i = 0; i < run_.mounts.size(); ++i) {
    const std::string target = target_of(run_.mounts[i], i, runner_.result().config.config.working_dir);
    const std::string content = binds_[i] ? " content=" + binds_[i]->digest : "";
    inputs.add("the mount " + target, describe(run_.mounts[i], target) + content);
  }
}

RunMounts::Place RunMounts::bind_place(size_t index, const std::string& room) {
  const Mount& mount = run_.mounts[index];
  const Bind& bind = *binds_[index];
  const std::string base = fmt::format("{}/{}", room, index);
  Place place{.target = target_of(mount, index, runner_.result().config.config.working_dir)};
  place.attributes = mount.read_only ? MOUNT_ATTR_RDONLY : 0;
  if (bind.from_context || !bind.is_directory) {
    // A copy of our own: not the user's files, and a file alone is no overlay.
    files::make_directories(base + "-copy", 0755);
    LayerWriter copy(base + "-copy", {});
    CopySource source{.tree = bind.tree.get(), .path = bind.path, .shown = mount.source,
                      .names = CopySource::Names::kLiteral};
    if (bind.from_context) {
      source.seen_as = Owner{};
    }
    copy_source(copy, source, {bind.path, "bind"}, "/bind", {});
    place.source = base + "-copy/bind";
    return place;
  }
  const Tree::DirectoryHandle directory = bind.tree->directory(bind.path);
  for (const Tree::Directory::Part& part : directory->parts) {
    place.lowers.push_back(bind.tree->layers().at(part.layer) + (bind.path == "/" ? "" : bind.path));
  }
  if (place.lowers.empty()) {  // from=scratch
    place.lowers.push_back(base + "-empty");
    make_shown_directory(place.lowers.front());
  }
  place.source = base;
  files::make_directories(base, 0755);
  if (!mount.read_only) {
    place.upper = base + "-upper";
    place.work = base + "-work";
    struct stat status {};
    if (directory->fd() < 0) {
      status.st_mode = S_IFDIR | 0755;
    } else {
      check(::fstat(directory->fd(), &status), "stat {}", bind.path);
    }
    files::make_directories(place.upper, 0755);
    files::make_directories(place.work, 0700);
    check(::chown(place.upper.c_str(), status.st_uid, status.st_gid), "change the owner of {}", place.upper);
    check(::chmod(place.upper.c_str(), status.st_mode & 07777), "change the mode of {}", place.upper);
  }
  return place;
}

RunMounts::Place RunMounts::cache_place(size_t index, const std::string& room) {
  const Mount& mount = run_.mounts[index];
  Place place{.target = target_of(mount, index, runner_.result().config.config.working_dir)};
  place.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (mount.read_only ? MOUNT_ATTR_RDONLY : 0);
  const std::string space = built_in_argument(runner_.workshop().options, "BUILDKIT_CACHE_MOUNT_NS");
  const std::string id = (space.empty() ? "" : space + "/") + (mount.id.empty() ? clean_path(mount.target) : mount.id);
  const std::string base = runner_.workshop().cache.directory() + "/mounts";
  files::make_directories(base, 0700);
  const std::string start = binds_[index] ? binds_[index]->digest : "";
  // As with BuildKit, one id holds a directory for each owner and mode that mounts of it ask for.
  const bool owned = mount.uid || mount.gid || mount.mode;
  const std::string owner = !owned ? "" : fmt::format("\n{}:{} {:o}", mount.uid.value_or(0), mount.gid.value_or(0),
                                                      mount.mode.value_or(0755));
  for (size_t copy = 0;; ++copy) {
    const std::string name = image::digest_of(fmt::format("{}\n{}\n{}{}", id, start, copy, owner)).hex();
    place.source = fmt::format("{}/{}", base, name);
    if (mount.sharing == Mount::Sharing::kLocked) {
      locks_.push_back(files::Lock::take(place.source + ".lock"));
    } else if (mount.sharing == Mount::Sharing::kPrivate) {
      std::optional<files::Lock> lock = files::Lock::try_take(place.source + ".lock");
      if (!lock) {
        continue;  // somebody else's at the moment: the next one
      }
      locks_.push_back(std::move(*lock));
    }
    break;
  }
  locks_.push_back(files::Lock::take(place.source + ".use", files::Lock::Mode::kShared));  // against prune
  if (!files::is_directory(place.source)) {
    files::replace(place.source + ".name", id + "\n", {.mode = 0600, .sync = false});
    const std::string fresh = fmt::format("{}/{}-cache", room, index);
    files::make_directories(fresh, 0755);
    if (binds_[index]) {
      LayerWriter copy(fresh, {});
      CopySource source{.tree = binds_[index]->tree.get(), .path = binds_[index]->path, .shown = mount.source,
                        .names = CopySource::Names::kLiteral};
      copy_source(copy, source, {binds_[index]->path, "cache"}, "/", {});
    }
    check(::chown(fresh.c_str(), mount.uid.value_or(0), mount.gid.value_or(0)), "change the owner of {}", fresh);
    check(::chmod(fresh.c_str(), mount.mode.value_or(0755) & 07777), "change the mode of {}", fresh);
    // Not over an empty one: another RUN may have it mounted already.
    if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, place.source.c_str(), RENAME_NOREPLACE) != 0 && errno != EEXIST) {
      throw system_error(errno, fmt::format("make the cache directory of {}", id));
    }
  }
  return place;
}

std::string RunMounts::secret_place(size_t index) {
  if (secrets_ == nullptr) {
    // Below the run root, which is memory.
    files::make_directories(runner_.workshop().options.paths.run_root, 0700);
    secrets_ = std::make_unique<files::TemporaryDirectory>(runner_.workshop().options.paths.run_root, "secrets-");
  }
  return fmt::format("{}/{}", secrets_->path(), index);
}

void RunMounts::secret(size_t index, const std::string&, std::vector<std::string>& environment) {
  const Mount& mount = run_.mounts[index];
  const std::optional<std::string> value = secret_value(runner_.workshop().options, mount.id);
  if (!value) {
    if (mount.required) {
      throw fail("secret {}: not found, and the mount requires it", mount.id)
          .with_hint(fmt::format("build with --secret id={},src=FILE", mount.id));
    }
    return;
  }
  if (mount.env) {
    environment.push_back(*mount.env + "=" + *value);
    if (mount.target.empty()) {
      return;
    }
  }
  const std::string file = secret_place(index);
  write_owned(file, *value, mount, 0400);
  places_.push_back({.target = target_of(mount, index, runner_.result().config.config.working_dir),
                     .source = file,
                     .attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC});
}

void RunMounts::agent(size_t index, const std::string&, std::vector<std::string>& environment) {
  const Mount& mount = run_.mounts[index];
  const std::string id = mount.id.empty() ? "default" : mount.id;
  const auto& agents = runner_.workshop().options.ssh;
  const auto found = agents.find(id);
  if (found == agents.end()) {
    // Scripts that look for the variable find it all the same, as with BuildKit.
    environment.push_back("SSH_AUTH_SOCK=" + target_of(mount, index, runner_.result().config.config.working_dir));
    if (mount.required) {
      throw fail("no SSH key {0} forwarded: ssh agent '{0}' not found, and the mount requires it", id).with_hint("build with --ssh " + id);
    }
    return;
  }
  const std::string target = target_of(mount, index, runner_.result().config.config.working_dir);
  environment.push_back("SSH_AUTH_SOCK=" + target);
  const std::string socket = secret_place(index);
  agents_.emplace_back(socket, found->second,
                       AgentSocket::Rights{mount.mode.value_or(0600), mount.uid.value_or(0), mount.gid.value_or(0)});
  places_.push_back({.target = target, .source = socket, .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV});
}

void RunMounts::prepare(const std::string& room, const std::optional<InlineFile>& script,
                        std::vector<std::string>& environment) {
  for (size_t i = 0; i < run_.mounts.size(); ++i) {
    const Mount& mount = run_.mounts[i];
    switch (mount.type) {
      case Mount::Type::kBind: places_.push_back(bind_place(i, room)); break;
      case Mount::Type::kCache: places_.push_back(cache_place(i, room)); break;
      case Mount::Type::kTmpfs:
        places_.push_back({.target = target_of(mount, i, runner_.result().config.config.working_dir),
                           .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                           .tmpfs = true,
                           .tmpfs_size = mount.size});
        break;
      case Mount::Type::kSecret: secret(i, room, environment); break;
      case Mount::Type::kSsh: agent(i, room, environment); break;
    }
  }
  if (script) {
    const std::string directory = room + "/script";
    make_shown_directory(directory);
    const std::string file = directory + "/" + base_name(script->name);
    files::replace(file, script->content, {.mode = 0755, .sync = false});
    places_.push_back({.target = std::string(kScriptDirectory), .source = directory, .attributes = MOUNT_ATTR_RDONLY});
  }
}

void RunMounts::add_to(runtime::Spec& spec) const {
  std::vector<Place> sorted = places_;  // the outer ones first: in whatever order they are written, none covers another
  std::stable_sort(sorted.begin(), sorted.end(), [](const Place& a, const Place& b) { return a.target < b.target; });
  for (const Place& place : sorted) {
    runtime::MountPoint point;
    point.destination = place.target;
    point.set = place.attributes;
    if (place.tmpfs) {
      point.type = "tmpfs";
      point.source = "tmpfs";
      point.options = {"mode=1777"};
      if (place.tmpfs_size != 0) {
        point.options.push_back(fmt::format("size={}", place.tmpfs_size));
      }
    } else {
      point.kind = rootfs::MountKind::kBind;
      point.source = place.source;
    }
    // In place of what every container has there: a tmpfs on /dev/shm, say.
    const auto same = std::find_if(spec.mounts.begin(), spec.mounts.end(),
                                   [&](const runtime::MountPoint& each) { return each.destination == point.destination; });
    if (same != spec.mounts.end()) {
      *same = std::move(point);
    } else {
      spec.mounts.push_back(std::move(point));
    }
  }
}

void RunMounts::attach_all() const {
  for (const Place& place : places_) {
    if (place.lowers.empty()) {
      continue;
    }
    const Fd mount = unionfs::mount_overlay(
        {.lowers = place.lowers, .upper = place.upper, .work = place.work, .is_volatile = !place.upper.empty()},
        "a directory of another stage, for --mount=type=bind");
    const Fd target = files::open(place.source, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    sys::move_mount(mount.get(), target.get(), place.source, "a place that only this RUN's mount namespace shows");
  }
}

}  // namespace jigsaw::build
