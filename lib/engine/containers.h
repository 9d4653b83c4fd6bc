// Containers as the engine remembers them.
//
//   <root>/containers/<id>/container.json   what it is: name, image, command, how it ended
//   <root>/changes/<id>                     what it wrote (overlayfs' upper directory; `work` is in the one above)
//   <root>/names/<name> -> start of <id>    a link, made exclusively: two containers can't take one name
//   <run root>/containers/<id>              lib/runtime's state while it lives; gone after a reboot
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
#include "image/store.h"
#include "runtime/spec.h"

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
  image::Root holds;       // its image and layers: written with the record, not read back
  std::string process;     // what it was started with, as the JSON of an OCI "process" object: what exec starts from
};

// Makes the id, takes the running lock and the name (a random one if `container.name` is "") and makes the directories.
// Throws if the name is taken or malformed. There is a container for others to see once it is saved.
files::Lock create(const Paths& paths, Container& container);
// Writes the record, again.
void save(const Paths& paths, const Container& container);
// Keeps what the saved record says it `holds` in the store for as long as the container exists.
void hold(const Paths& paths, const image::Store& store, const Container& container);
// All containers, the newest first. Running ones are told by their lock.
std::vector<Container> list(const Paths& paths);
// By name, whole id, or a prefix of the id that fits only one. Throws otherwise, with the nearest name.
Container find(const Paths& paths, const std::string& name_or_id);
// Removes what is left of a container that does not run: its directories, its name, its hold on layers, its lock's
// file. remove() throws if it runs; erase() is for the holder of its lock.
void remove(const Paths& paths, const Container& container);
void erase(const Paths& paths, const Container& container);
// After the death of the process that ran it, by the holder of its lock: --rm containers and half-made ones are erased,
// others marked as ended.
void clear_up_after_kill(const Paths& paths, const std::string& id);

// For Container::process, and back.
std::string process_json(const runtime::Process& process);
runtime::Process process_of(const Container& container);

// <root>/containers/<id>: the record, files that are the container's own, and, for the overlay to work in, `work`.
std::string directory(const Paths& paths, const std::string& id);
// <root>/changes/<id>: what the container changed, the upper directory of its overlay. (Two directories and no more: on some
// disks each costs as much as a dozen files.)
std::string changes(const Paths& paths, const std::string& id);
// Takes the lock that says "this container runs"; nothing if another process holds it.
std::optional<files::Lock> lock_running(const Paths& paths, const std::string& id);
void forget_lock(const Paths& paths, const std::string& id);      // removes its file
std::vector<std::string> lock_names(const Paths& paths);          // ids that run, or were cut off

}  // namespace jigsaw::engine
