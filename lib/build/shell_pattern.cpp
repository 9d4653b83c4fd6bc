#include "build/shell_pattern.h"

#include <algorithm>

#include "base/error.h"
#include "build/words.h"

namespace jigsaw::build {

bool ShellPattern::Token::takes(std::string_view other) const {
  return kind == Kind::kCharacter ? character == other : other != "\n";
}

ShellPattern::ShellPattern(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    size_t length = character_length(text.substr(at));
    std::string_view character = text.substr(at, length);
    at += length;
    if (character == "*") {
      if (tokens_.empty() || tokens_.back().kind != Token::Kind::kRun) {
        tokens_.push_back({Token::Kind::kRun, {}});
      }
      continue;
    }
    if (character == "?") {
      tokens_.push_back({Token::Kind::kAny, {}});
      continue;
    }
    if (character == "\\") {
      length = character_length(text.substr(at));
      character = text.substr(at, length);
      if (character != "*" && character != "?" && character != "\\" && character != "}" && character != "/") {
        throw Error(fmt::format("in a pattern, \\ can't stand before '{}'", character),
                    "\\ goes before * ? \\ } and / to mean just that character");
      }
      at += length;
    }
    tokens_.push_back({Token::Kind::kCharacter, std::string(character)});
  }
}

ShellPattern::Characters ShellPattern::characters(std::string_view value) {
  Characters result;
  for (size_t at = 0; at < value.size();) {
    const size_t length = character_length(value.substr(at));
    result.push_back(value.substr(at, length));
    at += length;
  }
  return result;
}

void ShellPattern::check_size(const Characters& value) const {
  constexpr size_t kWork = 1U << 28;
  if (!tokens_.empty() && value.size() / 2 > kWork / tokens_.size()) {
    throw fail("a pattern of {} characters is too long for a value of {}", tokens_.size(), value.size());
  }
}

std::optional<size_t> ShellPattern::match(const std::vector<Token>& tokens, const Characters& value, size_t start,
                                          Reach reach) {
  // state[j]: the first j tokens match what was read so far.
  std::vector<char> state(tokens.size() + 1, 0);
  const auto skip_runs = [&](std::vector<char>& states) {
    for (size_t j = 0; j < tokens.size(); ++j) {
      if (states[j] != 0 && tokens[j].kind == Token::Kind::kRun) {
        states[j + 1] = 1;
      }
    }
  };
  state[0] = 1;
  skip_runs(state);
  std::optional<size_t> found;
  for (size_t at = start;; ++at) {
    if (state.back() != 0) {
      found = at - start;
      if (reach == Reach::kShortest) {
        return found;
      }
    }
    if (at >= value.size() || std::find(state.begin(), state.end(), 1) == state.end()) {
      return found;
    }
    std::vector<char> next(state.size(), 0);
    for (size_t j = 0; j < tokens.size(); ++j) {
      if (state[j] != 0 && tokens[j].takes(value[at])) {
        next[tokens[j].kind == Token::Kind::kRun ? j : j + 1] = 1;
      }
    }
    skip_runs(next);
    state.swap(next);
  }
}

std::vector<bool> ShellPattern::starts(const Characters& value) const {
  // From the last token to the first: can[i] tells whether the tokens from there on match at i.
  std::vector<bool> can(value.size() + 1, true);
  for (auto token = tokens_.rbegin(); token != tokens_.rend(); ++token) {
    std::vector<bool> before(value.size() + 1, false);
    for (size_t i = value.size() + 1; i-- > 0;) {
      const bool takes = i < value.size() && token->takes(value[i]);
      before[i] = token->kind == Token::Kind::kRun ? can[i] || (takes && before[i + 1]) : takes && can[i + 1];
    }
    can.swap(before);
  }
  return can;
}

std::string ShellPattern::without_front(std::string_view value, Reach reach) const {
  const Characters text = characters(value);
  check_size(text);
  const size_t count = match(tokens_, text, 0, reach).value_or(0);
  size_t bytes = 0;
  for (size_t at = 0; at < count; ++at) {
    bytes += text[at].size();
  }
  return std::string(value.substr(bytes));
}

std::string ShellPattern::without_back(std::string_view value, Reach reach) const {
  Characters text = characters(value);
  check_size(text);
  std::reverse(text.begin(), text.end());
  const std::vector<Token> tokens(tokens_.rbegin(), tokens_.rend());
  const size_t count = match(tokens, text, 0, reach).value_or(0);
  size_t bytes = 0;
  for (size_t at = 0; at < count; ++at) {
    bytes += text[at].size();
  }
  return std::string(value.substr(0, value.size() - bytes));
}

std::string ShellPattern::replace(std::string_view value, std::string_view replacement, Count count) const {
  const Characters text = characters(value);
  check_size(text);
  const std::vector<bool> start = starts(text);
  std::string result;
  bool open = true;               // more may be replaced
  bool just_matched = false;      // an empty match right behind another one does not count
  for (size_t at = 0; at <= text.size();) {
    if (open && start[at]) {
      const size_t taken = match(tokens_, text, at, Reach::kLongest).value_or(0);
      if (taken > 0 || !just_matched) {
        result += replacement;
        open = count == Count::kAll;
        just_matched = true;
        at += taken;
        if (taken > 0) {
          continue;
        }
      }
    }
    just_matched = false;
    if (at < text.size()) {
      result += text[at];
    }
    ++at;
  }
  return result;
}

}  // namespace jigsaw::build
