#include "engine/paths.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace jigsaw::engine {
namespace {

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value != nullptr && value[0] == '/' ? value : "";  // the XDG specification: relative ones are ignored
}

std::string data_home() {
  if (const std::string given = variable("XDG_DATA_HOME"); !given.empty()) {
    return given;
  }
  const std::string home = variable("HOME");
  return home.empty() ? fmt::format("/tmp/jigsaw-{}", ::geteuid()) : home + "/.local/share";
}

std::string runtime_directory() {
  const std::string given = variable("XDG_RUNTIME_DIR");
  return given.empty() ? fmt::format("/tmp/jigsaw-{}", ::geteuid()) : given + "/jigsaw";
}

std::string absolute(const std::string& path) { return std::filesystem::absolute(path).lexically_normal().string(); }

}  // namespace

bool is_rootless() { return ::geteuid() != 0; }

Paths paths(const std::string& root, const std::string& run_root) {
  Paths found{.root = is_rootless() ? data_home() + "/jigsaw" : "/var/lib/jigsaw",
              .run_root = is_rootless() ? runtime_directory() : "/run/jigsaw"};
  found.root = root.empty() ? found.root : absolute(root);
  found.run_root = run_root.empty() ? found.run_root : absolute(run_root);
  if (found.root == found.run_root) {
    found.run_root += "/run";  // the two hold directories of the same names
  }
  return found;
}

}  // namespace jigsaw::engine
