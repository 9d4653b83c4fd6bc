#include "process/own_program.h"

#include <filesystem>

#include "base/error.h"

namespace jigsaw::process {
namespace {

std::string& remembered() {
  static std::string path;
  return path;
}

}  // namespace

std::string own_path() {
  return remembered().empty() ? std::filesystem::read_symlink("/proc/self/exe").string() : remembered();
}

void remember_own_path(std::string path) { remembered() = std::move(path); }

bool has_left_own_path() { return !remembered().empty(); }

std::string companion(std::string_view name) {
  const std::filesystem::path here = std::filesystem::path(own_path()).parent_path();
  for (const std::filesystem::path& candidate : {here / name, here / "../libexec/jigsaw" / name}) {
    if (std::filesystem::exists(candidate)) {
      return candidate.string();
    }
  }
  throw Error(fmt::format("{} is not installed", name), fmt::format("it belongs beside {} or in ../libexec/jigsaw", own_path()));
}

}  // namespace jigsaw::process
