#include "build/glob.h"

#include <optional>
#include <vector>

#include "base/text.h"

namespace jigsaw::build {
namespace {

// Bytes of the UTF-8 character at the start of `text`; 1 for anything that is none.
size_t character_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const size_t length = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return length <= text.size() ? length : 1;
}

std::string_view take_character(std::string_view& text) {
  const std::string_view character = text.substr(0, character_length(text));
  text.remove_prefix(character.size());
  return character;
}

// One end of a range in a class; nothing if the class is malformed.
std::optional<std::string_view> class_character(std::string_view& pattern) {
  if (pattern.empty() || pattern.front() == '-' || pattern.front() == ']') {
    return std::nullopt;
  }
  if (pattern.front() == '\\') {
    pattern.remove_prefix(1);
    if (pattern.empty()) {
      return std::nullopt;
    }
  }
  const std::string_view character = take_character(pattern);
  return pattern.empty() ? std::nullopt : std::optional(character);
}

// Matches a class whose '[' is taken already; takes it whole. UTF-8 sorts as its code points do.
std::optional<bool> class_matches(std::string_view& pattern, std::string_view character) {
  const bool negated = !pattern.empty() && pattern.front() == '^';
  if (negated) {
    pattern.remove_prefix(1);
  }
  bool matches = false;
  for (size_t ranges = 0;; ++ranges) {
    if (!pattern.empty() && pattern.front() == ']' && ranges > 0) {
      pattern.remove_prefix(1);
      return matches != negated;
    }
    const std::optional<std::string_view> low = class_character(pattern);
    if (!low) {
      return std::nullopt;
    }
    std::optional<std::string_view> high = low;
    if (pattern.front() == '-') {
      pattern.remove_prefix(1);
      high = class_character(pattern);
      if (!high) {
        return std::nullopt;
      }
    }
    matches = matches || (*low <= character && character <= *high);
  }
}

// One element of the pattern other than '*' against the start of `name`; false if it does not match.
bool take_element(std::string_view& pattern, std::string_view& name) {
  if (name.empty()) {
    return false;
  }
  switch (pattern.front()) {
    case '[': {
      pattern.remove_prefix(1);
      return class_matches(pattern, take_character(name)).value_or(false);
    }
    case '?':
      pattern.remove_prefix(1);
      return take_character(name) != "/";
    case '\\':
      pattern.remove_prefix(1);
      if (pattern.empty()) {
        return false;
      }
      [[fallthrough]];
    default: {
      const bool same = pattern.front() == name.front();
      pattern.remove_prefix(1);
      name.remove_prefix(1);
      return same;
    }
  }
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view name) {
  // The last '*' seen: on a mismatch it takes one byte more. Linear space, no recursion.
  std::optional<std::string_view> star_pattern;
  std::string_view star_name;
  while (true) {
    if (pattern.empty() && name.empty()) {
      return true;
    }
    if (!pattern.empty() && pattern.front() == '*') {
      pattern.remove_prefix(1);
      star_pattern = pattern;
      star_name = name;
      continue;
    }
    if (!pattern.empty()) {
      std::string_view rest_pattern = pattern;
      std::string_view rest_name = name;
      if (take_element(rest_pattern, rest_name)) {
        pattern = rest_pattern;
        name = rest_name;
        continue;
      }
    }
    if (!star_pattern || star_name.empty() || star_name.front() == '/') {
      return false;
    }
    star_name.remove_prefix(1);
    pattern = *star_pattern;
    name = star_name;
  }
}

bool is_glob(std::string_view pattern) {
  while (!pattern.empty()) {
    const char first = pattern.front();
    pattern.remove_prefix(1);
    if (first == '[' && !class_matches(pattern, "x")) {
      return false;
    }
    if (first == '\\') {
      if (pattern.empty()) {
        return false;
      }
      pattern.remove_prefix(1);
    }
  }
  return true;
}

bool has_wildcards(std::string_view path) {
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\') {
      ++i;
    } else if (path[i] == '*' || path[i] == '?' || path[i] == '[') {
      return true;
    }
  }
  return false;
}

std::string clean_path(std::string_view path) {
  std::vector<std::string_view> parts;
  for (const std::string_view part : text::split(path, '/')) {
    if (part == "..") {
      if (!parts.empty()) {
        parts.pop_back();
      }
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  std::string result;
  for (const std::string_view part : parts) {
    result.append("/").append(part);
  }
  return result.empty() ? "/" : result;
}

std::string clean_path_keeping_end(std::string_view path) {
  std::string result = clean_path(path);
  if (path == "." || path.ends_with("/.")) {
    return result == "/" ? "/." : result + "/.";
  }
  return path.ends_with('/') && result != "/" ? result + "/" : result;
}

std::string join_path(std::string_view directory, std::string_view path) {
  return clean_path(std::string(directory) + "/" + std::string(path));
}

std::string base_name(std::string_view path) {
  const std::string clean = clean_path(path);
  return clean == "/" ? clean : clean.substr(clean.rfind('/') + 1);
}

std::string parent_path(std::string_view path) {
  const std::string clean = clean_path(path);
  const size_t slash = clean.rfind('/');
  return slash == 0 ? "/" : clean.substr(0, slash);
}

}  // namespace jigsaw::build
