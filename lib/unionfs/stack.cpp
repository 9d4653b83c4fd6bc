#include "unionfs/stack.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"

namespace jigsaw::unionfs {

std::vector<std::string> layers_in(const std::string& layers) {
  const std::string top = std::filesystem::absolute(layers).lexically_normal().string();
  if (!files::is_directory(top)) {
    throw fail("{} is not a directory of layers", layers).with_hint("the command 'layers DIR' writes those of a small system");
  }
  std::vector<std::string> result;
  for (const std::string& name : files::list(top)) {
    if (files::is_directory(top + "/" + name)) {
      result.push_back(top + "/" + name);
    }
  }
  if (result.empty()) {
    throw fail("{} holds no layers", layers).with_hint("each directory in it is a layer, the bottom one first by name");
  }
  std::reverse(result.begin(), result.end());
  return result;
}

Overlay stack(const std::string& layers, const std::string& changes) { return stack(layers_in(layers), changes); }

Overlay stack(std::vector<std::string> lowers, const std::string& changes) {
  const std::string place = std::filesystem::absolute(changes).lexically_normal().string();
  Overlay result{.lowers = std::move(lowers), .upper = place + "/upper", .work = place + "/work"};
  struct stat top {};
  check(::stat(result.lowers.front().c_str(), &top), "stat {}", result.lowers.front());
  if (!files::is_directory(result.upper)) {
    files::make_directories(result.upper);
    check(::chmod(result.upper.c_str(), top.st_mode & 07777), "change the mode of {}", result.upper);
  }
  files::make_directories(result.work, 0700);
  return result;
}

}  // namespace jigsaw::unionfs
