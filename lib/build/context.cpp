#include "build/context.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "base/error.h"

namespace jigsaw::build {
namespace {

constexpr size_t kIgnoreFileLimit = 16 << 20;  // bytes

// Whether anything below `directory`/`path` is not excluded.
bool holds_visible(const Tree::DirectoryHandle& directory, Tree& raw, const IgnoreMatcher& ignore) {
  for (const std::string& name : raw.list(directory)) {
    const std::string path = (directory->path == "/" ? "" : directory->path.substr(1) + "/") + name;
    if (!ignore.excludes(path)) {
      return true;
    }
    const std::optional<Tree::Node> node = raw.find(directory, name);
    if (node && S_ISDIR(node->status.st_mode) && ignore.may_bring_back_below(path)) {
      const Tree::DirectoryHandle below = raw.subdirectory(directory, name);
      if (below != nullptr && holds_visible(below, raw, ignore)) {
        return true;
      }
    }
  }
  return false;
}

std::optional<std::string> read_ignore_file(const std::string& path) {
  return files::read_if_exists(path, kIgnoreFileLimit);
}

}  // namespace

Filter ignore_filter(std::shared_ptr<const IgnoreMatcher> ignore, const std::string& directory) {
  if (ignore->empty()) {
    return {};
  }
  auto raw = std::make_shared<Tree>(std::vector<std::string>{directory});
  return [ignore, raw](const std::string& path, bool is_directory) {
    const std::string relative = path.substr(1);
    if (!ignore->excludes(relative)) {
      return false;
    }
    if (!is_directory || !ignore->has_exceptions() || !ignore->may_bring_back_below(relative)) {
      return true;
    }
    const Tree::DirectoryHandle handle = raw->directory(path);
    return handle == nullptr || !holds_visible(handle, *raw, *ignore);
  };
}

Tree Context::tree() const {
  if (directory.empty()) {
    return Tree({});
  }
  return Tree({directory}, ignore_filter(ignore, directory));
}

Context empty_context() { return {}; }

Context directory_context(const std::string& directory, const std::string& dockerfile) {
  Context context;
  context.shown = directory;
  char resolved[PATH_MAX];
  if (::realpath(directory.c_str(), resolved) == nullptr) {
    throw system_error(errno, fmt::format("open the build context {}", directory))
        .with_hint("the last argument of build is the directory whose files COPY may take");
  }
  context.directory = resolved;
  if (!files::is_directory(context.directory)) {
    throw fail("the build context {} is not a directory", directory);
  }
  std::string name = dockerfile + ".dockerignore";
  std::optional<std::string> text = dockerfile.empty() ? std::nullopt : read_ignore_file(name);
  if (!text) {
    name = context.directory + "/.dockerignore";
    text = read_ignore_file(name);
  }
  if (text) {
    context.ignore = std::make_shared<IgnoreMatcher>(parse_ignore_file(make_source(name, *text)));
  }
  return context;
}

}  // namespace jigsaw::build
