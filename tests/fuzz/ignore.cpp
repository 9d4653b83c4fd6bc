// An ignore file and, behind its last line, a path. The direct answer and that of a walk must agree for paths a walk
// can meet, unless a '!' pattern is in play: then the walk is told to go on by may_bring_back_below().
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "build/ignore.h"

namespace {

bool excluded_in_a_walk(const jigsaw::build::IgnoreMatcher& matcher, std::string_view path) {
  jigsaw::build::IgnoreMatcher::State state = matcher.top();
  for (size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
    state = matcher.descend(state, path.substr(0, slash));
  }
  return matcher.descend(state, path).excluded;
}

bool is_walkable(std::string_view path) {
  return !path.empty() && path.front() != '/' && path.back() != '/' && path.find("//") == std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace jigsaw;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = text.rfind('\n');
  const std::string_view path = end == std::string_view::npos ? "" : text.substr(end + 1);
  try {
    const build::IgnoreMatcher matcher(build::read_ignore_patterns(text.substr(0, end)));
    const bool excluded = matcher.excludes(path);
    matcher.may_bring_back_below(path);
    if (is_walkable(path) && !matcher.has_exceptions() && excluded != excluded_in_a_walk(matcher, path)) {
      std::abort();
    }
  } catch (const Error&) {
  }
  return 0;
}
