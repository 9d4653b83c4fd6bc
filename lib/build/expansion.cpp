#include "build/expansion.h"

#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "build/shell_pattern.h"
#include "build/words.h"

namespace jigsaw::build {
namespace {

constexpr size_t kGrowthLimit = 4U << 20;  // bytes an expansion may add: ENV a=$a$a doubles with every line
constexpr int kDepthLimit = 200;           // ${a:-${b:-…}}

bool is_digit(std::string_view character) {
  return character.size() == 1 && character[0] >= '0' && character[0] <= '9';
}

// Collects characters into words. Blanks separate words unless they were added raw.
class WordList {
 public:
  void add(std::string_view character) {
    if (!is_blank_character(character)) {
      add_raw(character);
    } else if (!word_.empty()) {
      words_.push_back(std::move(word_));
      word_.clear();
    }
  }
  void add_split(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
      const size_t length = character_length(text.substr(at));
      add(text.substr(at, length));
      at += length;
    }
  }
  void add_raw(std::string_view text) { word_ += text; }
  std::vector<std::string> take() {
    if (!word_.empty()) {
      words_.push_back(std::move(word_));
    }
    return std::move(words_);
  }

 private:
  std::string word_;
  std::vector<std::string> words_;
};

class Expander {
 public:
  Expander(std::string_view text, const Variables& variables, const ExpandOptions& options)
      : text_(text), variables_(variables), options_(options), keep_escapes_(options.keep_escapes) {}

  Expansion run() {
    WordList words;
    std::string text = until({}, words);
    return {std::move(text), words.take(), std::move(used_), std::move(unset_)};
  }

 private:
  std::string_view peek() const { return text_.substr(at_, character_length(text_.substr(at_))); }
  std::string_view next() {
    const std::string_view character = peek();
    at_ += character.size();
    return character;
  }
  bool at_end() const { return at_ >= text_.size(); }
  bool is_escape(std::string_view character) const { return character.size() == 1 && character[0] == options_.escape; }
  void grow(size_t bytes) {
    if ((grown_ += bytes) > kGrowthLimit) {
      throw fail("the variables in it expand to more than {}", text::human_size(kGrowthLimit));
    }
  }

  // Up to the character `stop`, which is taken, or with "" to the end.
  std::string until(std::string_view stop, WordList& words) {
    std::string result;
    while (!at_end()) {
      const std::string_view character = peek();
      if (!stop.empty() && character == stop) {
        next();
        return result;
      }
      if (character == "$") {
        const std::string value = dollar();
        grow(value.size());
        words.add_split(value);
        result += value;
      } else if (!options_.ignore_quotes && (character == "'" || character == "\"")) {
        const std::string quoted = character == "'" ? single_quotes() : double_quotes();
        words.add_raw(quoted);
        result += quoted;
      } else if (character == "<") {
        const std::string sign = heredoc_sign();
        words.add_raw(sign);
        result += sign;
      } else {
        plain(words, result);
      }
    }
    if (!stop.empty()) {
      throw missing(stop == "/" ? "'/' before the replacement" : "'}'");
    }
    return result;
  }

  void plain(WordList& words, std::string& result) {
    std::string_view character = next();
    if (!is_escape(character)) {
      words.add(character);
      result += character;
      return;
    }
    if (keep_escapes_) {
      words.add_raw(character);
      result += character;
    }
    character = next();
    words.add_raw(character);
    result += character;
  }

  // << and the blanks behind it stay together with the name: "<< EOF" is one word.
  std::string heredoc_sign() {
    std::string sign(next());
    if (peek() == "<") {
      sign += next();
      while (peek() == " " || peek() == "\t" || peek() == "\r") {
        sign += next();
      }
    }
    return sign;
  }

  std::string single_quotes() {
    const std::string_view quote = next();
    const size_t end = text_.find('\'', at_);
    if (end == std::string_view::npos) {
      throw unfinished("single-quote");
    }
    std::string inside(text_.substr(at_, end - at_));
    at_ = end + 1;
    return options_.keep_quotes ? std::string(quote) + inside + std::string(quote) : inside;
  }

  std::string double_quotes() {
    const std::string_view quote = next();
    std::string result(options_.keep_quotes ? quote : "");
    while (!at_end()) {
      std::string_view character = peek();
      if (character == "\"") {
        next();
        result += options_.keep_quotes ? quote : "";
        return result;
      }
      if (character == "$") {
        const std::string value = dollar();
        grow(value.size());
        result += value;
        continue;
      }
      character = next();
      if (is_escape(character)) {
        const std::string_view following = peek();
        if (keep_escapes_) {
          result += character;
        }
        if (following.empty()) {
          continue;
        }
        if (following == "\"" || following == "$" || is_escape(following)) {
          character = next();
        }
      }
      result += character;
    }
    throw unfinished("double-quote");
  }

  std::string dollar() {
    next();
    if (peek() == "{") {
      if (++depth_ > kDepthLimit) {
        throw fail("more than {} ${{…}} within one another", kDepthLimit);
      }
      std::string value = braces();
      --depth_;
      return value;
    }
    const std::string variable = name();
    if (variable.empty()) {
      return "$";
    }
    const std::optional<std::string> value = look_up(variable);
    return !value && options_.keep_unset ? "$" + variable : value.value_or("");
  }

  std::string braces() {
    next();
    if (at_end()) {
      throw missing("'}'");
    }
    if (peek() == "{" || peek() == "}" || peek() == ":") {
      throw Error("syntax error: bad substitution: a name must follow ${", "write ${NAME}; for a plain $ write \\$");
    }
    const std::string variable = name();
    const std::string_view sign = next();
    if (sign == "}") {
      const std::optional<std::string> value = look_up(variable);
      return !value && options_.keep_unset ? "${" + variable + "}" : value.value_or("");
    }
    if (sign == "/") {
      return replaced(variable);
    }
    return modified(variable, sign);
  }

  std::string modified(const std::string& variable, std::string_view sign) {
    const bool empty_counts_as_unset = sign == ":";
    const std::string_view form = empty_counts_as_unset ? next() : sign;
    const bool trims = form == "#" || form == "%";
    if (form.empty()) {
      throw missing("'}'");
    }
    if ((trims && empty_counts_as_unset) || (!trims && form != "+" && form != "-" && form != "?")) {
      throw Error(fmt::format("unsupported modifier ({}{}) in substitution of ${{{}…}}", empty_counts_as_unset ? ":" : "", form, variable),
                  "known are ${v:-w} ${v-w} ${v:+w} ${v+w} ${v:?w} ${v?w} ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/r} "
                  "${v//p/r}");
    }
    const std::string word = inner("}", trims ? Escapes::kKeep : Escapes::kTake);
    const std::optional<std::string> value = look_up(variable);
    if (!value && options_.keep_unset) {
      return fmt::format("${{{}{}{}{}}}", variable, empty_counts_as_unset ? ":" : "", form, word);
    }
    if (trims) {
      const bool twice = word.starts_with(form);
      const ShellPattern pattern{std::string_view(word).substr(twice ? 1 : 0)};
      const auto reach = twice ? ShellPattern::Reach::kLongest : ShellPattern::Reach::kShortest;
      return form == "#" ? pattern.without_front(value.value_or(""), reach)
                         : pattern.without_back(value.value_or(""), reach);
    }
    const bool counts_as_set = value && !(empty_counts_as_unset && value->empty());
    if (form == "+") {
      return counts_as_set ? word : "";
    }
    if (counts_as_set) {
      return *value;
    }
    if (form == "?") {
      throw Error(fmt::format("{}: {}", variable,
                              !word.empty() ? word : value ? "it must not be empty" : "it must be set"),
                  fmt::format("give it a value: ARG {}=… or ENV {}=… above, or --build-arg {}=…", variable, variable,
                              variable));
    }
    return word;
  }

  std::string replaced(const std::string& variable) {
    const bool all = peek() == "/";
    if (all) {
      next();
    }
    const std::string pattern = inner("/", Escapes::kKeep);
    const std::string replacement = inner("}", Escapes::kKeep);
    const std::optional<std::string> value = look_up(variable);
    if (!value && options_.keep_unset) {
      return fmt::format("${{{}/{}/{}}}", variable, pattern, replacement);
    }
    return ShellPattern(pattern).replace(value.value_or(""), replacement,
                                         all ? ShellPattern::Count::kAll : ShellPattern::Count::kFirst);
  }

  // A part of a ${…} up to `stop`; patterns keep their escape characters.
  enum class Escapes { kTake, kKeep };
  std::string inner(std::string_view stop, Escapes escapes) {
    const bool before = std::exchange(keep_escapes_, escapes == Escapes::kKeep);
    WordList words;
    std::string text = until(stop, words);
    keep_escapes_ = before;
    return text;
  }

  // Letters, digits and _; or only digits; or one of the shell's special parameters.
  std::string name() {
    std::string result;
    if (is_digit(peek())) {
      while (is_digit(peek())) {
        result += next();
      }
      return result;
    }
    if (peek().size() == 1 && std::string_view("@*#?-$!").find(peek()[0]) != std::string_view::npos) {
      return std::string(next());
    }
    while (!at_end() && (is_letter_character(peek()) || is_digit(peek()) || peek() == "_")) {
      result += next();
    }
    return result;
  }

  std::optional<std::string> look_up(const std::string& variable) {
    std::optional<std::string> value = variables_.get(variable);
    if (seen_.insert(variable).second) {
      (value ? used_ : unset_).push_back(variable);
    }
    return value;
  }

  static Error unfinished(std::string_view what) {
    return Error(fmt::format("unexpected end of statement: there is no matching {}", what),
                 "put text with special characters into quotes, or \\ before each of them");
  }

  static Error missing(std::string_view what) {
    return Error(fmt::format("syntax error: missing {}", what),
                 "put text with special characters into quotes, or \\ before each of them");
  }

  std::string_view text_;
  const Variables& variables_;
  const ExpandOptions& options_;
  bool keep_escapes_;
  size_t at_ = 0;
  size_t grown_ = 0;
  int depth_ = 0;
  std::unordered_set<std::string> seen_;
  std::vector<std::string> used_;
  std::vector<std::string> unset_;
};

}  // namespace

Variables::Variables(std::initializer_list<std::pair<std::string, std::string>> entries) {
  for (const auto& [name, value] : entries) {
    set(name, value);
  }
}

Variables Variables::from_environment(const std::vector<std::string>& entries) {
  Variables variables;
  for (const std::string& entry : entries) {
    const size_t equals = entry.find('=');
    variables.set(entry.substr(0, equals), equals == std::string::npos ? "" : entry.substr(equals + 1));
  }
  return variables;
}

void Variables::set(const std::string& name, std::string value) {
  const auto [found, is_new] = index_.try_emplace(name, entries_.size());
  if (is_new) {
    entries_.emplace_back(name, std::move(value));
  } else {
    entries_[found->second].second = std::move(value);
  }
}

std::optional<std::string> Variables::get(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? std::nullopt : std::optional(entries_[found->second].second);
}

bool Variables::contains(std::string_view name) const { return index_.contains(std::string(name)); }

std::vector<std::string> Variables::names() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : entries_) {
    names.push_back(name);
  }
  return names;
}

std::vector<std::string> Variables::to_environment() const {
  std::vector<std::string> environment;
  for (const auto& [name, value] : entries_) {
    environment.push_back(name + "=" + value);
  }
  return environment;
}

Expansion expand(std::string_view text, const Variables& variables, ExpandOptions options) {
  return Expander(text, variables, options).run();
}

}  // namespace jigsaw::build
