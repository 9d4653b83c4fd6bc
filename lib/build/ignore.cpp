#include "build/ignore.h"

#include <algorithm>

#include "base/text.h"
#include "build/words.h"

namespace jigsaw::build {
namespace {

using Pattern = IgnoreMatcher::Pattern;
using Token = Pattern::Token;
using Kind = Token::Kind;

// One character and its length. A byte that is no UTF-8 stands for itself, beyond all real characters.
char32_t character_at(std::string_view text, size_t at, size_t& length) {
  length = character_length(text.substr(at));
  const auto byte = [&](size_t offset) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + offset])); };
  switch (length) {
    case 2: return (byte(0) & 0x1f) << 6 | (byte(1) & 0x3f);
    case 3: return (byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    case 4: return (byte(0) & 7) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
    default: return byte(0) < 0x80 ? byte(0) : 0x110000 + byte(0);
  }
}

// The shortest path that means the same: no empty name, no '.', '..' taken together with the name before it.
std::string shortest_path(std::string_view path) {
  const bool rooted = path.starts_with('/');
  std::vector<std::string> names;
  for (const std::string_view name : text::split(path, '/')) {
    if (name.empty() || name == ".") {
      continue;
    }
    if (name == ".." && !names.empty() && names.back() != "..") {
      names.pop_back();
    } else if (name != ".." || !rooted) {
      names.emplace_back(name);
    }
  }
  const std::string joined = text::join(names, "/");
  return rooted ? "/" + joined : joined.empty() ? "." : joined;
}

[[noreturn]] void refuse(std::string_view pattern, std::string_view why) {
  throw Error(fmt::format("{} pattern {}: {}", pattern == "!" ? "illegal exclusion" : "syntax error in", text::quoted(pattern), why),
              "to mean a special character itself, put \\ before it");
}

class Compiler {
 public:
  explicit Compiler(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) {
      token();
    }
    return std::move(tokens_);
  }

 private:
  char32_t next() {
    size_t length = 0;
    const char32_t character = character_at(text_, at_, length);
    at_ += length;
    return character;
  }
  bool starts(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  void add(Kind kind, char32_t character = 0) { tokens_.push_back({.kind = kind, .character = character}); }

  void token() {
    const size_t start = at_;
    const char32_t character = next();
    if (character == U'*' && starts("*")) {
      stars(start);
    } else if (character == U'*') {
      add(Kind::kName);
    } else if (character == U'?') {
      add(Kind::kAny);
    } else if (character == U'[') {
      set();
    } else if (character == U'\\') {
      if (at_ >= text_.size()) {
        refuse(text_, "nothing follows the \\ at its end");
      }
      add(Kind::kCharacter, next());
    } else {
      add(Kind::kCharacter, character);
    }
  }

  void stars(size_t start) {
    ++at_;
    const bool slash = starts("/");
    at_ += slash ? 1 : 0;
    if (at_ >= text_.size()) {
      add(Kind::kRest);
      return;
    }
    // "**name" with nothing special in the name is any end of a path; elsewhere ** stands for whole directories.
    const bool plain_end = text_.find_first_of("*?[]\\", at_) == std::string_view::npos;
    if (start == 0 && !slash && plain_end) {
      add(Kind::kRest);
    } else {
      add(Kind::kSkip);
      add(Kind::kInside);
    }
  }

  char32_t set_character() {
    if (at_ >= text_.size() || starts("-") || starts("]")) {
      refuse(text_, at_ >= text_.size() ? "the closing ] is missing" : "- and ] in a set need \\ before them");
    }
    if (starts("\\")) {
      ++at_;
      if (at_ >= text_.size()) {
        refuse(text_, "the closing ] is missing");
      }
    }
    return next();
  }

  void set() {
    Token token{.kind = Kind::kSet};
    if (starts("^")) {
      token.negated = true;
      ++at_;
    }
    do {
      const char32_t low = set_character();
      char32_t high = low;
      if (starts("-")) {
        ++at_;
        high = set_character();
      }
      if (high < low) {
        refuse(text_, "a range in a set goes backwards");
      }
      token.ranges.emplace_back(low, high);
    } while (!starts("]"));
    ++at_;
    tokens_.push_back(std::move(token));
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<Token> tokens_;
};

// The states of a pattern while it reads a path: state[j] means that the first j tokens fit so far.
class Reading {
 public:
  explicit Reading(const std::vector<Token>& tokens) : tokens_(tokens), state_(tokens.size() + 1, 0) {
    state_[0] = 1;
    follow(state_);
  }
  // False once nothing fits any more.
  bool take(char32_t character) {
    std::vector<char> next(state_.size(), 0);
    bool alive = false;
    for (size_t j = 0; j < tokens_.size(); ++j) {
      if (state_[j] == 0 || !tokens_[j].takes(character)) {
        continue;
      }
      alive = true;
      const Kind kind = tokens_[j].kind;
      if (kind == Kind::kName || kind == Kind::kRest || kind == Kind::kInside) {
        next[j] = 1;
      }
      if (kind == Kind::kCharacter || kind == Kind::kAny || kind == Kind::kSet ||
          (kind == Kind::kInside && character == U'/')) {
        next[j + 1] = 1;
      }
    }
    follow(next);
    state_.swap(next);
    return alive;
  }
  bool accepts() const { return state_.back() != 0; }
  bool can_go_on() const { return std::find(state_.begin(), state_.end() - 1, 1) != state_.end() - 1; }

 private:
  // Tokens that may stand for nothing.
  void follow(std::vector<char>& state) const {
    for (size_t j = 0; j < tokens_.size(); ++j) {
      if (state[j] == 0) {
        continue;
      }
      const Kind kind = tokens_[j].kind;
      if (kind == Kind::kName || kind == Kind::kRest || kind == Kind::kSkip) {
        state[j + 1] = 1;
      }
      if (kind == Kind::kSkip) {
        state[j + 2] = 1;
      }
    }
  }

  const std::vector<Token>& tokens_;
  std::vector<char> state_;
};

bool read_path(Reading& reading, std::string_view path) {
  for (size_t at = 0; at < path.size();) {
    size_t length = 0;
    const char32_t character = character_at(path, at, length);
    at += length;
    if (!reading.take(character)) {
      return false;
    }
  }
  return true;
}

void append_utf8(std::string& text, char32_t character) {
  if (character >= 0x110000) {
    text += static_cast<char>(character - 0x110000);
  } else if (character < 0x80) {
    text += static_cast<char>(character);
  } else if (character < 0x800) {
    text += {static_cast<char>(0xc0 | character >> 6), static_cast<char>(0x80 | (character & 0x3f))};
  } else if (character < 0x10000) {
    text += {static_cast<char>(0xe0 | character >> 12), static_cast<char>(0x80 | (character >> 6 & 0x3f)),
             static_cast<char>(0x80 | (character & 0x3f))};
  } else {
    text += {static_cast<char>(0xf0 | character >> 18), static_cast<char>(0x80 | (character >> 12 & 0x3f)),
             static_cast<char>(0x80 | (character >> 6 & 0x3f)), static_cast<char>(0x80 | (character & 0x3f))};
  }
}

Pattern compile(std::string_view text) {
  Pattern pattern{.text = std::string(text), .tokens = Compiler(text).run()};
  const auto is_special = [](const Token& token) { return token.kind != Kind::kCharacter; };
  const auto first = std::find_if(pattern.tokens.begin(), pattern.tokens.end(), is_special);
  const auto last = std::find_if(pattern.tokens.rbegin(), pattern.tokens.rend(), is_special).base();
  for (auto token = pattern.tokens.begin(); token != first; ++token) {
    append_utf8(pattern.head, token->character);
  }
  for (auto token = last; token != pattern.tokens.end(); ++token) {
    append_utf8(pattern.tail, token->character);
  }
  pattern.literal = first == pattern.tokens.end();
  return pattern;
}

std::string_view without_end_slashes(std::string_view path) {
  while (path.ends_with('/')) {
    path.remove_suffix(1);
  }
  return path;
}

}  // namespace

bool Token::takes(char32_t other) const {
  switch (kind) {
    case Kind::kCharacter: return character == other;
    case Kind::kAny:
    case Kind::kName: return other != U'/';
    case Kind::kRest:
    case Kind::kInside: return true;
    case Kind::kSkip: return false;
    case Kind::kSet: break;
  }
  return negated != std::any_of(ranges.begin(), ranges.end(),
                                [&](const auto& range) { return other >= range.first && other <= range.second; });
}

bool Pattern::matches(std::string_view path) const {
  if (literal) {
    return path == head;
  }
  if (!path.starts_with(head) || !path.ends_with(tail)) {
    return false;
  }
  Reading reading(tokens);
  return read_path(reading, path) && reading.accepts();
}

bool Pattern::may_match_below(std::string_view path) const {
  Reading reading(tokens);
  return read_path(reading, path) && reading.take(U'/') && reading.can_go_on();
}

IgnoreMatcher::IgnoreMatcher(const std::vector<std::string>& patterns) {
  for (const std::string& line : patterns) {
    const std::string_view trimmed = text::trim(line);
    if (trimmed.empty()) {
      continue;
    }
    const std::string cleaned = shortest_path(trimmed);
    const bool exception = cleaned.starts_with('!');
    if (cleaned == "!") {
      refuse(cleaned, "a path must follow the !");
    }
    patterns_.push_back(compile(std::string_view(cleaned).substr(exception ? 1 : 0)));
    patterns_.back().exception = exception;
    has_exceptions_ = has_exceptions_ || exception;
  }
}

bool IgnoreMatcher::excludes(std::string_view path) const {
  path = without_end_slashes(path);
  bool excluded = false;
  for (const Pattern& pattern : patterns_) {
    if (pattern.exception != excluded) {
      continue;
    }
    bool match = pattern.matches(path);
    for (size_t slash = path.find('/'); !match && slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
      match = pattern.matches(path.substr(0, slash));
    }
    if (match) {
      excluded = !pattern.exception;
    }
  }
  return excluded;
}

IgnoreMatcher::State IgnoreMatcher::top() const { return {std::vector<uint64_t>((patterns_.size() + 63) / 64), false}; }

IgnoreMatcher::State IgnoreMatcher::descend(const State& parent, std::string_view path) const {
  State state = top();
  for (size_t index = 0; index < patterns_.size(); ++index) {
    const Pattern& pattern = patterns_[index];
    const uint64_t bit = uint64_t{1} << (index % 64);
    bool match = (parent.matched[index / 64] & bit) != 0;
    if (!match && pattern.exception == state.excluded) {
      match = pattern.matches(path);
    }
    if (match) {
      state.matched[index / 64] |= bit;
      state.excluded = !pattern.exception;
    }
  }
  return state;
}

bool IgnoreMatcher::may_bring_back_below(std::string_view path) const {
  return has_exceptions_ && std::any_of(patterns_.begin(), patterns_.end(), [&](const Pattern& pattern) {
           return pattern.exception && pattern.may_match_below(path);
         });
}

std::vector<std::string> read_ignore_patterns(std::string_view text) {
  std::vector<std::string> patterns;
  if (text.starts_with("\xef\xbb\xbf")) {
    text.remove_prefix(3);
  }
  for (const std::string_view line : text::lines(text)) {
    std::string_view pattern = text::trim(line);
    if (line.starts_with('#') || pattern.empty()) {
      continue;
    }
    const bool exception = pattern.starts_with('!');
    if (exception) {
      pattern = text::trim(pattern.substr(1));
    }
    std::string cleaned = pattern.empty() ? "" : shortest_path(pattern);
    if (cleaned.size() > 1 && cleaned[0] == '/') {
      cleaned.erase(0, 1);
    }
    patterns.push_back((exception ? "!" : "") + cleaned);
  }
  return patterns;
}

IgnoreMatcher parse_ignore_file(const Source& source) {
  for (size_t number = 1; number <= source->starts.size(); ++number) {
    const std::string_view line = source->line(number);
    try {
      IgnoreMatcher(read_ignore_patterns(line));
    } catch (const Error& error) {
      throw Place{.source = source, .line = number, .length = std::max<size_t>(1, line.size()), .last_line = number}
          .error(error.message(), error.hint());
    }
  }
  return IgnoreMatcher(read_ignore_patterns(source->text));
}

}  // namespace jigsaw::build
