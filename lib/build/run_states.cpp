#include "build/run_states.h"

#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "runtime/container.h"

namespace jigsaw::build {
namespace {

void remove_states(const std::string& directory, const std::string& prefix) {
  for (const std::string& id : files::list(directory)) {
    if (id.starts_with(prefix + "-")) {
      runtime::remove(directory, id, runtime::Force::kYes);
    }
  }
}

void sweep(const std::string& directory, const std::string& locks) {
  for (const std::string& name : files::list(locks)) {
    try {
      if (const std::optional<files::Lock> dead = files::Lock::try_take(locks + "/" + name)) {
        remove_states(directory, name);
        ::unlink((locks + "/" + name).c_str());
      }
    } catch (const Error& error) {
      log::warning("what a killed build left can't be removed: {}", error.message());
    }
  }
}

std::string made(std::string directory) {
  files::make_directories(directory, 0700);
  return directory;
}

}  // namespace

RunStates::RunStates(const std::string& run_root)
    : directory_(made(run_root + "/builds")),
      locks_(made(run_root + "/building")),
      prefix_("build-" + files::random_hex(8)),
      lock_(files::Lock::take(locks_ + "/" + prefix_)) {
  sweep(directory_, locks_);
}

RunStates::~RunStates() {
  try {
    remove_states(directory_, prefix_);
    ::unlink((locks_ + "/" + prefix_).c_str());
  } catch (const Error&) {
    // The next build sweeps it.
  }
}

}  // namespace jigsaw::build
