#include "build/prune.h"

#include <unistd.h>

#include "base/files.h"

namespace jigsaw::build {
namespace {

void remove_cache_directory(const std::string& path) {
  if (const auto lock = files::Lock::try_take(path + ".use")) {
    files::remove_tree(path);
    ::unlink((path + ".name").c_str());
  }
}

}  // namespace

size_t prune_cache(const image::Store& store, const std::string& root) {
  const files::Lock lock = store.use();
  size_t count = 0;
  const std::string steps = root + "/cache/steps";
  if (files::is_directory(steps)) {
    for (const std::string& key : files::list(steps)) {
      store.release("build-" + key);
      ::unlink((steps + "/" + key).c_str());
      ++count;
    }
  }
  const std::string mounts = root + "/cache/mounts";
  if (files::is_directory(mounts)) {
    for (const std::string& name : files::list(mounts)) {
      if (name.find('.') == std::string::npos) {
        remove_cache_directory(mounts + "/" + name);
      }
    }
  }
  files::remove_tree(root + "/cache/last");
  files::remove_tree(root + "/cache/files");
  return count;
}

}  // namespace jigsaw::build
