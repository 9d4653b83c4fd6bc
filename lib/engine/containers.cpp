#include "engine/containers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/spread.h"
#include "base/text.h"
#include "engine/names.h"

namespace jigsaw::engine {
namespace {

constexpr int kNameTries = 100;
constexpr int kKilledCode = 137;
constexpr const char* kKilledReason = "the jigsaw that ran it was killed";

std::string record_file(const Paths& paths, const std::string& id) { return directory(paths, id) + "/container.json"; }
std::string name_link(const Paths& paths, const std::string& name) { return fmt::format("{}/names/{}", paths.root, name); }

// What a name's link says: the start of the id. A file system keeps up to 59 bytes in the link itself; more take a block on
// the disk, to be given back with it.
std::string link_target(const std::string& id) { return id.substr(0, 32); }

std::vector<std::string> ids(const Paths& paths) {
  const std::string parent = paths.root + "/containers";
  return files::is_directory(parent) ? files::list(parent) : std::vector<std::string>();
}

std::vector<std::string> ids_that_begin(const Paths& paths, const std::string& start) {
  std::vector<std::string> fitting = ids(paths);
  std::erase_if(fitting, [&](const std::string& id) { return start.empty() || !id.starts_with(start); });
  return fitting;
}

// Makes the link that reserves the name.
bool reserve(const Paths& paths, const std::string& name, const std::string& id) {
  const std::string link = name_link(paths, name);
  if (::symlink(link_target(id).c_str(), link.c_str()) == 0) {
    return true;
  }
  if (errno == ENOENT) {
    files::make_directories(paths.root + "/names", 0700);
    return reserve(paths, name, id);
  }
  if (errno != EEXIST) {
    throw system_error(errno, fmt::format("reserve the name {}", name));
  }
  // A name whose container is gone is free: its owner died between the two removals.
  const std::string owner = std::filesystem::read_symlink(link).string();
  if (ids_that_begin(paths, owner).empty()) {
    ::unlink(link.c_str());
    return ::symlink(link_target(id).c_str(), link.c_str()) == 0;
  }
  return false;
}

void take_name(const Paths& paths, Container& container) {
  for (int tries = 0; tries < kNameTries; ++tries) {
    const std::string candidate = container.name.empty() ? random_name() : container.name;
    if (reserve(paths, candidate, container.id)) {
      container.name = candidate;
      return;
    }
    if (!container.name.empty()) {
      throw Error(fmt::format("the name {} is taken by another container", text::quoted(container.name)),
                  fmt::format("remove that one with: jigsaw rm {}", container.name));
    }
  }
  throw Error("no free name found for the container", "give it one with --name");
}

// The name of a container that was killed before it had a record to say it; "-" if it had none yet.
std::string reserved_name(const Paths& paths, const std::string& id) {
  const std::string parent = paths.root + "/names";
  for (const std::string& name : files::is_directory(parent) ? files::list(parent) : std::vector<std::string>()) {
    std::error_code gone;
    if (const std::string start = std::filesystem::read_symlink(name_link(paths, name), gone).string(); !start.empty() && id.starts_with(start)) {
      return name;
    }
  }
  return "-";
}

std::string root_name(const std::string& id) { return "container-" + id; }

Status parse_status(std::string_view text) {
  return text == "exited" ? Status::kExited : text == "running" ? Status::kRunning : Status::kCreated;
}

Container load(const Paths& paths, const std::string& id) {
  const json::Document document(files::read(record_file(paths, id)), record_file(paths, id));
  const json::View root = document.root();
  Container container{.id = id,
                      .name = root.at("name").string(),
                      .image = root.at("image").string(),
                      .image_id = root.at("imageId").string(),
                      .command = root.at("command").strings(),
                      .created = text::parse_rfc3339(root.at("created").string()).value_or(std::chrono::system_clock::time_point{}),
                      .finished = text::parse_rfc3339(root.string_or("finished", "")).value_or(std::chrono::system_clock::time_point{}),
                      .status = parse_status(root.at("status").string()),
                      .exit_code = static_cast<int>(root.at("exitCode").integer(0, 255)),
                      .reason = root.string_or("reason", ""),
                      .remove_after = root.boolean_or("removeAfter", false),
                      .process = root.string_or("process", "")};
  if (container.status == Status::kRunning && lock_running(paths, id)) {
    // Nobody holds the lock: the process that ran it was killed, and the kernel killed the container with it.
    container.status = Status::kExited;
    container.exit_code = kKilledCode;
    container.reason = kKilledReason;
  }
  return container;
}

// Records are not synced: after a power cut one may be empty. Then nothing is known but that the container does not run, and
// it can be removed.
Container damaged(const Paths& paths, const std::string& id) {
  struct stat status {};
  ::stat(record_file(paths, id).c_str(), &status);
  const auto when = std::chrono::system_clock::from_time_t(status.st_mtime);
  return {.id = id, .name = reserved_name(paths, id), .created = when, .finished = when, .status = Status::kExited,
          .exit_code = kExitFailure, .reason = "its record is damaged"};
}

// A record may be half made or half removed by another process at this instant: such a container is not there.
std::optional<Container> load_if_whole(const Paths& paths, const std::string& id) {
  if (!files::exists(record_file(paths, id))) {
    return std::nullopt;
  }
  try {
    return load(paths, id);
  } catch (const Error&) {
    return damaged(paths, id);
  }
}

}  // namespace

std::string_view name(Status status) {
  switch (status) {
    case Status::kCreated:
      return "created";
    case Status::kRunning:
      return "running";
    case Status::kExited:
      return "exited";
  }
  return "created";
}

std::string directory(const Paths& paths, const std::string& id) { return fmt::format("{}/containers/{}", paths.root, id); }

std::string changes(const Paths& paths, const std::string& id) { return fmt::format("{}/changes/{}", paths.root, id); }

std::optional<files::Lock> lock_running(const Paths& paths, const std::string& id) {
  const std::string locks = paths.run_root + "/locks";
  if (!files::is_directory(locks)) {
    try {
      files::make_directories(paths.run_root, 0700);
      files::spread_below(paths.run_root);
      files::make_directories(locks, 0700);
    } catch (Error& error) {
      throw std::move(error).with_hint("choose another place for the states of running containers, with --run-root DIR");
    }
  }
  return files::Lock::try_take(fmt::format("{}/{}", locks, id));
}

files::Lock create(const Paths& paths, Container& container) {
  if (!container.name.empty()) {
    check_name(container.name);
  }
  std::optional<files::Lock> lock;
  while (!lock) {  // another process's sweep() may hold the new file for an instant: then another id
    container.id = files::random_hex(32);
    lock = lock_running(paths, container.id);
  }
  const std::string own = directory(paths, container.id);
  // The directory stands before the name points to it: see reserve().
  files::make_directories(own, 0700);
  try {
    take_name(paths, container);
  } catch (...) {
    ::rmdir(own.c_str());
    forget_lock(paths, container.id);
    throw;
  }
  const std::string upper = changes(paths, container.id);
  if (::mkdir(upper.c_str(), 0755) != 0) {
    check(errno == ENOENT ? 0 : -1, "make directory {}", upper);
    files::make_directories(paths.root + "/changes", 0700);  // what is below may be set-user-id, and is nobody's to run
    check(::mkdir(upper.c_str(), 0755), "make directory {}", upper);
  }
  check(::chmod(upper.c_str(), 0755), "change the mode of {}", upper);  // past the umask: it becomes a root directory
  container.created = std::chrono::system_clock::now();
  return std::move(*lock);
}

void save(const Paths& paths, const Container& container) {
  json::Value images = json::Value::array();
  for (const image::Digest& digest : container.holds.images) {
    images.push_back(digest.text());
  }
  const json::Value record = {{"name", container.name},
                              {"image", container.image},
                              {"imageId", container.image_id},
                              {"command", container.command},
                              {"created", text::rfc3339(container.created)},
                              {"finished", text::rfc3339(container.finished)},
                              {"status", name(container.status)},
                              {"exitCode", container.exit_code},
                              {"reason", container.reason},
                              {"removeAfter", container.remove_after},
                              {"process", container.process},
                              {"images", images},
                              {"layers", container.holds.layers}};
  files::replace(record_file(paths, container.id), json::dump(record), {.mode = 0600, .sync = false});
}

std::vector<Container> list(const Paths& paths) {
  std::vector<Container> found;
  for (const std::string& id : ids(paths)) {
    if (auto container = load_if_whole(paths, id)) {
      found.push_back(std::move(*container));
    }
  }
  std::sort(found.begin(), found.end(), [](const Container& a, const Container& b) { return a.created > b.created; });
  return found;
}

Container find(const Paths& paths, const std::string& name_or_id) {
  std::error_code no_link;
  const std::string named = name_or_id.find('/') == std::string::npos
                                ? std::filesystem::read_symlink(name_link(paths, name_or_id), no_link).string()
                                : "";
  const std::vector<std::string> fitting = ids_that_begin(paths, named.empty() ? name_or_id : named);
  if (fitting.size() > 1) {
    throw Error(fmt::format("{} fits {} containers", text::quoted(name_or_id), fitting.size()), "give more of the id");
  }
  if (!fitting.empty()) {
    if (auto container = load_if_whole(paths, fitting.front())) {
      return *container;
    }
  }
  std::vector<std::string> names;
  for (const Container& container : list(paths)) {
    names.push_back(container.name);
  }
  throw Error(fmt::format("no such container: {}{}", text::quoted(name_or_id), text::did_you_mean(name_or_id, names)),
              "jigsaw ps --all lists them");
}

void remove(const Paths& paths, const Container& container) {
  const auto lock = lock_running(paths, container.id);
  if (!lock) {
    throw Error(fmt::format("container {} is running", container.name), "give --force to kill it first");
  }
  erase(paths, container);
}

void erase(const Paths& paths, const Container& container) {
  files::remove_tree(changes(paths, container.id));
  files::remove_tree(directory(paths, container.id));
  ::unlink(name_link(paths, container.name).c_str());
  image::Store::open(paths.root).release(root_name(container.id));
  forget_lock(paths, container.id);
}

void clear_up_after_kill(const Paths& paths, const std::string& id) {
  std::optional<Container> container = load_if_whole(paths, id);
  if (!container || container->remove_after || container->status == Status::kCreated) {
    erase(paths, container ? *container : Container{.id = id, .name = reserved_name(paths, id)});
    return;
  }
  container->status = Status::kExited;
  container->exit_code = kKilledCode;
  container->reason = kKilledReason;
  container->finished = std::chrono::system_clock::now();
  save(paths, *container);
  forget_lock(paths, id);
}

void hold(const Paths& paths, const image::Store& store, const Container& container) {
  store.hold_as(root_name(container.id), record_file(paths, container.id));
}

void forget_lock(const Paths& paths, const std::string& id) {
  ::unlink(fmt::format("{}/locks/{}", paths.run_root, id).c_str());
}

std::vector<std::string> lock_names(const Paths& paths) {
  const std::string locks = paths.run_root + "/locks";
  return files::is_directory(locks) ? files::list(locks) : std::vector<std::string>();
}

}  // namespace jigsaw::engine
