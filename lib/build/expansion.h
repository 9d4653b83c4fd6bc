// Variables in Dockerfile words: $name, ${name} and the forms of a POSIX shell, as BuildKit understands them.
//
//     ${v:-w}  w if v is unset or empty     ${v-w}   w if v is unset
//     ${v:+w}  w if v is set and not empty  ${v+w}   w if v is set
//     ${v:?w}  an error if unset or empty   ${v?w}   an error if unset
//     ${v#p}   without the shortest front that matches p, ${v##p} the longest; ${v%p} and ${v%%p} at the end
//     ${v/p/r} with the first match of p replaced by r, ${v//p/r} with all of them; in p, * and ? are wildcards
//
// Words w may hold variables again. Single quotes keep everything as it is, double quotes keep blanks; the escape
// character takes the meaning from the one that follows. An unset variable is empty.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace jigsaw::build {

// Names and values, in the order in which they were first set.
class Variables {
 public:
  Variables() = default;
  Variables(std::initializer_list<std::pair<std::string, std::string>> entries);
  // From "NAME=value" texts, as an image's config holds them.
  static Variables from_environment(const std::vector<std::string>& entries);

  void set(const std::string& name, std::string value);
  std::optional<std::string> get(std::string_view name) const;
  bool contains(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& entries() const { return entries_; }
  std::vector<std::string> names() const;
  std::vector<std::string> to_environment() const;  // "NAME=value"

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
  std::unordered_map<std::string, size_t> index_;
};

struct ExpandOptions {
  char escape = '\\';
  bool keep_quotes = false;    // quotes stay in the text (but still group)
  bool ignore_quotes = false;  // quotes are plain characters: the content of a here-document
  bool keep_escapes = false;   // escape characters stay in the text
  bool keep_unset = false;     // $name of an unset variable stays as it is
};

struct Expansion {
  std::string text;                 // as one word
  std::vector<std::string> words;   // split at blanks that are not quoted, after expansion
  std::vector<std::string> used;    // variables that had a value, each once
  std::vector<std::string> unset;   // variables that had none, each once
};

// Throws an Error that names the cause: a missing quote or brace, an unknown form, a ${v:?…} that fails.
Expansion expand(std::string_view text, const Variables& variables, ExpandOptions options = {});

}  // namespace jigsaw::build
