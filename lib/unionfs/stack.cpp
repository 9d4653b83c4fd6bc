#include "unionfs/stack.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"

namespace jigsaw::unionfs {
namespace {

// Without "." and "..", and without a slash at its end.
std::string absolute(const std::string& path) {
  std::string result = std::filesystem::absolute(path).lexically_normal().string();
  while (result.size() > 1 && result.back() == '/') {
    result.pop_back();
  }
  return result;
}

}  // namespace

std::vector<std::string> layers_in(const std::string& layers) {
  const std::string top = absolute(layers);
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

std::string kept_changes(const std::string& changes, const std::string& layers) {
  std::string place = absolute(changes);
  if (!layers.empty() && (place + "/").starts_with(absolute(layers) + "/")) {
    throw fail("{} lies in {}: it would become a layer itself", changes, layers).with_hint("keep changes beside the layers");
  }
  if (files::exists(place) && !files::is_directory(place)) {
    throw fail("{} is not a directory", changes).with_hint("changes are kept in a directory, which is made if it is not there");
  }
  if (files::is_directory(place + "/work")) {
    for (const std::string& name : files::list(place + "/work")) {
      if (name != "work" && name != "index") {  // the kernel's, of a run that was killed
        throw fail("{}/work holds files already", changes).with_hint("it is needed as an empty directory: choose another one for the changes");
      }
    }
  }
  return place;
}

Overlay stack(const std::string& layers, const std::string& changes) { return stack(layers_in(layers), changes); }

Overlay stack(std::vector<std::string> lowers, const std::string& changes) {
  const std::string place = absolute(changes);
  Overlay result{.lowers = std::move(lowers), .upper = place + "/upper", .work = place + "/work"};
  struct stat top {};
  check(::stat(result.lowers.front().c_str(), &top), "stat {}", result.lowers.front());
  if (!files::is_directory(result.upper)) {
    files::make_directories(result.upper);
    if (::chown(result.upper.c_str(), top.st_uid, top.st_gid) != 0 && errno != EPERM) {  // without root it stays ours
      throw system_error(errno, fmt::format("change the owner of {}", result.upper));
    }
    check(::chmod(result.upper.c_str(), top.st_mode & 07777), "change the mode of {}", result.upper);
  }
  files::make_directories(result.work, 0700);
  return result;
}

}  // namespace jigsaw::unionfs
