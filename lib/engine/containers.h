// Containers as the engine remembers them.
//
//   <root>/containers/<id>/container.json   what it is: name, image, command, how it ended
//   <root>/containers/<id>/upper, work      its writable layer (overlayfs)
//   <root>/names/<name> -> <id>             a link, made exclusively: two containers can't take one name
//   <run root>/containers/<id>/…            lib/runtime's state while it lives; gone after a reboot
//   <run root>/locks/<id>                   held (flock) by the process that runs it
//
// The directory is made before anything else of a container and removed last: whatever dies in between, a later
// sweep() finds the name of all there may be. A container is running if and only if its lock is held: the kernel
// lets go of a lock when its holder dies, however it dies.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "engine/paths.h"

namespace jigsaw::engine {

enum class Status { kCreated, kRunning, kExited };
std::string_view name(Status status);  // "created", "running", "exited"

struct Container {
  std::string id;    // 64 hex digits
  std::string name;  // given with --name, or made up
  std::string image;                  // as the user wrote it
  std::string image_id;               // digest of the image's config
  std::vector<std::string> command;   // entry point and arguments
  std::chrono::system_clock::time_point created;
  std::chrono::system_clock::time_point finished;  // if kExited
  Status status = Status::kCreated;
  int exit_code = 0;       // if kExited
  std::string reason;      // why it ended, if the engine knows more than the code: "out of memory"
  bool remove_after = false;  // --rm
};

// Takes the name (a random one if `container.name` is ""), makes the directories and writes the record. Throws if the
// name is taken or malformed. `container.id` is made here.
void create(const Paths& paths, Container& container);
// Writes the record again.
void save(const Paths& paths, const Container& container);
// All containers, the newest first. Running ones are told by their lock.
std::vector<Container> list(const Paths& paths);
// By name, whole id, or a prefix of the id that fits only one. Throws otherwise, with the nearest name.
Container find(const Paths& paths, const std::string& name_or_id);
// Removes what is left of a container that does not run: its directories, its name. Throws if it runs.
void remove(const Paths& paths, const Container& container);

std::string directory(const Paths& paths, const std::string& id);  // <root>/containers/<id>
// Takes the lock that says "this container runs"; nothing if another process holds it.
std::optional<files::Lock> lock_running(const Paths& paths, const std::string& id);

}  // namespace jigsaw::engine
