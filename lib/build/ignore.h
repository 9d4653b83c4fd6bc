// .dockerignore: which paths of the context stay out of the build.
//
// Rules, the last match wins:
//   *  any run of characters but '/'     ?  one character but '/'     [a-z], [^a-z]  a set     \x  x itself
//   ** any number of directories          !p  brings back what p matches
// A pattern that matches a directory covers everything below it. Leading and trailing '/' mean nothing; lines that
// start with '#' are comments. There is no other magic: a pattern without '/' matches at the top only.
// The reference: docs.docker.com/build/concepts/context, "dockerignore files", and Go's path/filepath.Match.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "build/source.h"

namespace jigsaw::build {

class IgnoreMatcher {
 public:
  IgnoreMatcher() = default;
  // Throws on a pattern that is none (an open '[', a lone '!'), naming it.
  explicit IgnoreMatcher(const std::vector<std::string>& patterns);

  bool empty() const { return patterns_.empty(); }
  // Whether any pattern starts with '!': then an excluded directory must still be walked.
  bool has_exceptions() const { return has_exceptions_; }
  // Whether `path` (relative, '/' between names) is left out, itself or by one of its parents.
  bool excludes(std::string_view path) const;

  // The same for a walk from the top down: what is known of a directory decides most of what is below it, so each
  // path costs one look at the patterns. Give the state of its parent, kTop at the top of the context.
  struct State {
    std::vector<uint64_t> matched;  // one bit for each pattern
    bool excluded = false;
  };
  State top() const;
  State descend(const State& parent, std::string_view path) const;
  // Whether something below the excluded directory `path` may be brought back by a '!' pattern.
  bool may_bring_back_below(std::string_view path) const;

  // One line of the file, cleaned and cut into tokens.
  struct Pattern {
    struct Token {
      enum class Kind {
        kCharacter,    // itself
        kAny,          // ?: any one but '/'
        kSet,          // [a-z]
        kName,         // *: any number but '/'
        kRest,         // ** at the end, or ** at the front with something that is no '/' behind it: any number
        kSkip,         // **/: nothing, or anything up to and with a '/'
        kInside,       // the second half of kSkip
      };
      Kind kind;
      char32_t character = 0;
      std::vector<std::pair<char32_t, char32_t>> ranges;  // of a set
      bool negated = false;
      bool takes(char32_t other) const;
    };
    std::string text;  // cleaned, without '!'
    bool exception = false;
    std::vector<Token> tokens;
    std::string head;      // what every matching path starts with
    std::string tail;      // and ends with
    bool literal = false;  // head is all there is

    bool matches(std::string_view path) const;
    // Whether a longer path that starts with `path` may match.
    bool may_match_below(std::string_view path) const;
  };
  const std::vector<Pattern>& patterns() const { return patterns_; }

 private:
  std::vector<Pattern> patterns_;
  bool has_exceptions_ = false;
};

// The patterns of an ignore file: comments and empty lines dropped, paths cleaned.
std::vector<std::string> read_ignore_patterns(std::string_view text);
IgnoreMatcher parse_ignore_file(const Source& source);

}  // namespace jigsaw::build
