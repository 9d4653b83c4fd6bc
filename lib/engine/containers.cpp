#include "engine/containers.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/names.h"

namespace jigsaw::engine {
namespace {

constexpr int kNameTries = 100;

std::string record_file(const Paths& paths, const std::string& id) { return directory(paths, id) + "/container.json"; }
std::string name_link(const Paths& paths, const std::string& name) { return fmt::format("{}/names/{}", paths.root, name); }

// Makes the link that reserves the name. The target need not exist yet: it is the id.
bool reserve(const Paths& paths, const std::string& name, const std::string& id) {
  const std::string link = name_link(paths, name);
  if (::symlink(id.c_str(), link.c_str()) == 0) {
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
  if (!files::exists(directory(paths, owner))) {
    ::unlink(link.c_str());
    return ::symlink(id.c_str(), link.c_str()) == 0;
  }
  return false;
}

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
                      .remove_after = root.boolean_or("removeAfter", false)};
  if (container.status == Status::kRunning && lock_running(paths, id)) {
    // Nobody holds the lock: the process that ran it was killed, and the kernel killed the container with it.
    container.status = Status::kExited;
    container.exit_code = 137;
    container.reason = "the jigsaw that ran it was killed";
  }
  return container;
}

// A record may be half made or half removed by another process at this instant: such a container is not there.
std::optional<Container> load_if_whole(const Paths& paths, const std::string& id) {
  return files::exists(record_file(paths, id)) ? std::optional(load(paths, id)) : std::nullopt;
}

std::vector<std::string> ids(const Paths& paths) {
  const std::string parent = paths.root + "/containers";
  return files::is_directory(parent) ? files::list(parent) : std::vector<std::string>();
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

std::optional<files::Lock> lock_running(const Paths& paths, const std::string& id) {
  const std::string locks = paths.run_root + "/locks";
  if (!files::is_directory(locks)) {
    files::make_directories(locks, 0700);
  }
  return files::Lock::try_take(fmt::format("{}/{}", locks, id));
}

void create(const Paths& paths, Container& container) {
  container.id = files::random_hex(32);
  const std::string own = directory(paths, container.id);
  if (!container.name.empty()) {
    check_name(container.name);
  }
  // The directory stands before the name points to it: see reserve().
  files::make_directories(own, 0700);
  bool reserved = false;
  for (int tries = 0; !reserved && tries < kNameTries; ++tries) {
    const std::string candidate = container.name.empty() ? random_name() : container.name;
    reserved = reserve(paths, candidate, container.id);
    if (!reserved && !container.name.empty()) {
      ::rmdir(own.c_str());
      throw Error(fmt::format("the name {} is taken by another container", text::quoted(container.name)),
                  fmt::format("remove that one with: jigsaw rm {}", container.name));
    }
    if (reserved) {
      container.name = candidate;
    }
  }
  if (!reserved) {
    ::rmdir(own.c_str());
    throw Error("no free name found for the container", "give it one with --name");
  }
  for (const char* part : {"/upper", "/work"}) {
    files::make_directories(own + part, 0755);
  }
  container.created = std::chrono::system_clock::now();
  save(paths, container);
}

void save(const Paths& paths, const Container& container) {
  const json::Value record = {{"name", container.name},
                              {"image", container.image},
                              {"imageId", container.image_id},
                              {"command", container.command},
                              {"created", text::rfc3339(container.created)},
                              {"finished", text::rfc3339(container.finished)},
                              {"status", name(container.status)},
                              {"exitCode", container.exit_code},
                              {"reason", container.reason},
                              {"removeAfter", container.remove_after}};
  files::replace(record_file(paths, container.id), json::dump_pretty(record), {.mode = 0600, .sync = false});
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
  std::string wanted = name_or_id.find('/') == std::string::npos
                           ? std::filesystem::read_symlink(name_link(paths, name_or_id), no_link).string()
                           : "";
  if (wanted.empty()) {
    std::vector<std::string> fitting;
    for (const std::string& id : ids(paths)) {
      if (!name_or_id.empty() && id.starts_with(name_or_id)) {
        fitting.push_back(id);
      }
    }
    if (fitting.size() > 1) {
      throw Error(fmt::format("{} fits {} containers", text::quoted(name_or_id), fitting.size()), "give more of the id");
    }
    wanted = fitting.empty() ? "" : fitting.front();
  }
  if (!wanted.empty()) {
    if (auto container = load_if_whole(paths, wanted)) {
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
    throw Error(fmt::format("container {} is running", container.name), "stop it first, or give --force");
  }
  files::remove_tree(directory(paths, container.id));
  ::unlink(name_link(paths, container.name).c_str());
  ::unlink(fmt::format("{}/locks/{}", paths.run_root, container.id).c_str());
}

}  // namespace jigsaw::engine
