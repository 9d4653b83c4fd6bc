// The patterns of ${v#p}, ${v%p} and ${v/p/r}: * is any run of characters and ? any one, both within a line; \ takes
// the meaning from * ? \ } and /. Time is bounded by length of pattern times length of value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jigsaw::build {

class ShellPattern {
 public:
  enum class Reach { kShortest, kLongest };

  // Throws an Error for a \ before anything else.
  explicit ShellPattern(std::string_view text);

  // `value` without what matches at its start or at its end; the same if nothing does.
  std::string without_front(std::string_view value, Reach reach) const;
  std::string without_back(std::string_view value, Reach reach) const;
  enum class Count { kFirst, kAll };
  std::string replace(std::string_view value, std::string_view replacement, Count count) const;

 private:
  struct Token {
    enum class Kind { kCharacter, kAny, kRun };
    Kind kind;
    std::string character;
    bool takes(std::string_view other) const;
  };
  using Characters = std::vector<std::string_view>;
  static Characters characters(std::string_view value);
  // Number of characters that match from `start` on, or nothing.
  static std::optional<size_t> match(const std::vector<Token>& tokens, const Characters& value, size_t start,
                                     Reach reach);
  // For each position whether a match starts there.
  std::vector<bool> starts(const Characters& value) const;
  void check_size(const Characters& value) const;

  std::vector<Token> tokens_;
};

}  // namespace jigsaw::build
