// RUN --mount: what else a RUN sees while it runs, and what never becomes part of the layer.
//
//     bind    files of the context, a stage or an image, read-only unless "rw" (then what is written is thrown away)
//     cache   a directory that is kept below the root from build to build, by its id
//     tmpfs   memory        secret   a file or variable of the caller        ssh   the caller's agent
//
// A bind source is a path of a tree (tree.h): links in it are resolved as text within that tree, so none can lead to
// the host (CVE-2024-1753, CVE-2024-23651). A directory of a stage is mounted as an overlay of that directory's parts in
// each layer. Files of the context are copied first: a RUN never sees the user's own files. Cache directories are named
// by the hash of their id (CVE-2024-9675).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "build/agent_socket.h"
#include "build/cache.h"
#include "build/instructions.h"
#include "build/stage_runner.h"
#include "runtime/spec.h"

namespace jigsaw::build {

class RunMounts {
 public:
  // Finds the bind sources; throws if one is not there.
  RunMounts(StageRunner& runner, const Run& run);

  bool empty() const { return binds_.empty(); }
  // What of them belongs to the key: targets, kinds, the content of bind sources. Never a secret's value, nor what is in
  // a cache.
  void add_inputs(StepInputs& inputs) const;
  // Makes the sources below `room`; adds the variables that secrets and agents bring.
  void prepare(const std::string& room, const std::optional<InlineFile>& script, std::vector<std::string>& environment);
  void add_to(runtime::Spec& spec) const;
  // In the container's own mount namespace, before its root is made: overlays go to their places in the room.
  void attach_all() const;

 private:
  struct Place {
    std::string target;
    std::string source;                // path on the host
    std::vector<std::string> lowers;   // an overlay to be attached at `source`, top first
    std::string upper, work;           // of a writable one
    uint64_t attributes = 0;           // MOUNT_ATTR_*
    bool tmpfs = false;
    uint64_t tmpfs_size = 0;
  };
  struct Bind {
    std::shared_ptr<Tree> tree;
    std::string path;  // resolved
    std::string digest;
    bool from_context = false;
    bool is_directory = false;
  };

  void find_bind(size_t index);
  Place bind_place(size_t index, const std::string& room);
  Place cache_place(size_t index, const std::string& room);
  void secret(size_t index, const std::string& room, std::vector<std::string>& environment);
  void agent(size_t index, const std::string& room, std::vector<std::string>& environment);
  // A place for what must not reach a disk.
  std::string secret_place(size_t index);

  StageRunner& runner_;
  const Run& run_;
  std::vector<std::optional<Bind>> binds_;  // one for each mount
  std::vector<Place> places_;
  std::vector<files::Lock> locks_;  // of cache directories
  std::unique_ptr<files::TemporaryDirectory> secrets_;
  std::vector<AgentSocket> agents_;
};

}  // namespace jigsaw::build
