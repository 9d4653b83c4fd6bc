// Where the RUNs of this build keep their containers' states, and the clean-up after builds that were killed.
//
// <run root>/builds/ holds the states, one for each RUN, named <build>-<number>; <run root>/building/<build> is held
// (flock) while the build lives. One that nobody holds belongs to a dead build: its containers died with it, and their
// cgroups and states are removed by the next build.
#pragma once

#include <string>

#include "base/files.h"

namespace jigsaw::build {

class RunStates {
 public:
  // Sweeps first.
  explicit RunStates(const std::string& run_root);
  ~RunStates();
  RunStates(const RunStates&) = delete;
  RunStates& operator=(const RunStates&) = delete;
  // Where containers keep their states, for all builds.
  const std::string& directory() const { return directory_; }
  // Starts every container's id in this build: "build-3f2a…".
  const std::string& prefix() const { return prefix_; }

 private:
  std::string directory_;
  std::string locks_;
  std::string prefix_;
  files::Lock lock_;
};

}  // namespace jigsaw::build
