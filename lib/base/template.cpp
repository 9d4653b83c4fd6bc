#include "base/template.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/template_functions.h"
#include "base/text.h"

namespace jigsaw {
namespace {

using json::Value;
using templates::call;
using templates::field;
using templates::holds;
using templates::printed;

// What names stand for at a place in the template.
struct Scope {
  const Value* root;
  Value dot;
  std::map<std::string, Value> variables;  // "$name"
};

// The words of an action; a quoted one may hold blanks and keeps its first quote as a mark. "|" and ":=" are words.
std::vector<std::string> words_of(std::string_view action) {
  std::vector<std::string> words;
  while (!(action = text::trim(action)).empty()) {
    size_t length = 1;
    if (const char quote = action[0]; quote == '"' || quote == '`') {
      const size_t end = action.find(quote, 1);
      if (end == std::string_view::npos) {
        throw fail("--format: a text lacks its closing quote");
      }
      words.push_back('"' + std::string(action.substr(1, end - 1)));
      length = end + 1;
    } else if (quote != '|' && quote != ',') {
      length = std::min(action.find_first_of(" \t\n|,"), action.size());
      words.emplace_back(action.substr(0, length));
    } else if (quote == '|') {
      words.emplace_back("|");
    }
    action.remove_prefix(length);
  }
  return words;
}

std::string shown(const std::vector<std::string>& words) {
  std::string result;
  for (const std::string& word : words) {
    result += fmt::format("{}{}{}", result.empty() ? "" : " ", word, word.starts_with('"') ? "\"" : "");
  }
  return result;
}

Value argument(const std::string& word, const Scope& scope) {
  if (word.starts_with('.')) {
    return field(scope.dot, word);
  }
  if (word.starts_with('$')) {
    const std::string name = word.substr(0, word.find('.'));
    const auto variable = scope.variables.find(name);
    if (name != "$" && variable == scope.variables.end()) {
      throw fail("--format: the variable {} is not set", name);
    }
    return field(name == "$" ? *scope.root : variable->second, word.substr(name.size()));
  }
  if (word.starts_with('"')) {
    return Value(word.substr(1));
  }
  if (word == "true" || word == "false") {
    return Value(word == "true");
  }
  if (const auto number = text::to_i64(word)) {
    return Value(*number);
  }
  throw fail("--format: {} is no field: a field starts with a dot", text::quoted(word));
}

// "index .Labels "a" | json": what one command gives is the last argument of the next.
Value evaluate(const std::vector<std::string>& words, const Scope& scope) {
  std::optional<Value> result;
  for (auto from = words.begin(); from != words.end();) {
    const auto to = std::find(from, words.end(), "|");
    if (from == to || words.back() == "|") {
      result.reset();
      break;
    }
    const bool plain = from->starts_with('.') || from->starts_with('$') || from->starts_with('"');
    std::vector<Value> given;
    std::transform(from + (plain ? 0 : 1), to, std::back_inserter(given), [&](const std::string& word) { return argument(word, scope); });
    if (result) {
      given.push_back(*result);
    }
    result = !plain ? call(*from, given) : given.size() == 1 ? std::optional(given[0]) : std::nullopt;
    if (!result) {
      break;
    }
    from = to == words.end() ? to : to + 1;
  }
  if (!result) {
    throw Error(fmt::format("--format: {} is not understood", text::quoted(shown(words))),
                "it knows {{.Field}}, json, len, index, join, slice, lower, upper, eq, ne, not, print, println, pipes, and range, with, if … else … end");
  }
  return *result;
}

class Expansion {
 public:
  explicit Expansion(std::string_view rest) : rest_(rest) {}

  std::string all(const Value& value) {
    const Scope scope{.root = &value, .dot = value, .variables = {}};
    return until_end(scope, Reading::kAll);
  }

 private:
  enum class Reading { kAll, kBlock, kSkip };  // kSkip: a block that only has to be passed over

  // Takes text up to the {{end}} or {{else}} that closes a block (or to the end) off the front; ended_by_ says which it was.
  std::string until_end(const Scope& scope, Reading reading) {
    std::string result;
    while (true) {
      const size_t open = rest_.find("{{");
      result += rest_.substr(0, open);
      if (open == std::string_view::npos) {
        if (reading != Reading::kAll) {
          throw fail("--format: a range, with or if lacks its {{{{end}}}}");
        }
        return result;
      }
      const size_t close = rest_.find("}}", open);
      if (close == std::string_view::npos) {
        throw fail("--format: {{{{ lacks its }}}}");
      }
      std::string_view action = rest_.substr(open + 2, close - open - 2);
      rest_.remove_prefix(close + 2);
      if (action.starts_with("- ")) {  // white space goes on that side
        result.erase(result.find_last_not_of(" \t\n") + 1);
        action.remove_prefix(1);
      }
      if (action.ends_with(" -")) {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n"), rest_.size()));
        action.remove_suffix(1);
      }
      std::vector<std::string> words = words_of(action);
      if (words.empty()) {
        throw fail("--format: nothing stands between {{{{ and }}}}");
      }
      if ((words[0] == "end" || words[0] == "else") && reading != Reading::kAll) {
        ended_by_ = std::move(words);
        return result;
      }
      if (words[0] == "range" || words[0] == "with" || words[0] == "if") {
        result += block(words, scope, reading);
      } else if (reading != Reading::kSkip) {
        result += printed(evaluate(words, scope));
      }
    }
  }

  std::string block(const std::vector<std::string>& words, const Scope& scope, Reading reading) {
    std::vector<std::string> names(words.begin() + 1, words.end());
    const auto assigned = std::find(names.begin(), names.end(), ":=");
    std::vector<std::string> expression = names;
    if (assigned != names.end()) {
      expression.assign(assigned + 1, names.end());
      names.erase(assigned, names.end());
    } else {
      names.clear();
    }
    const Value value = reading == Reading::kSkip ? Value() : evaluate(expression, scope);
    const bool taken = reading != Reading::kSkip && holds(value);
    std::string result;
    if (taken && words[0] == "range") {
      result = each(value, names, scope);
    } else {
      Scope inner = scope;
      if (words[0] == "with") {
        inner.dot = value;
      }
      for (const std::string& name : names) {
        inner.variables[name] = value;
      }
      result = until_end(inner, taken ? Reading::kBlock : Reading::kSkip);
    }
    result = taken ? result : "";
    if (ended_by_[0] == "end") {
      return result;
    }
    const bool other = reading != Reading::kSkip && !taken;
    if (ended_by_.size() > 1) {  // else if
      const std::string chosen = block({ended_by_.begin() + 1, ended_by_.end()}, scope, other ? Reading::kBlock : Reading::kSkip);
      return taken ? result : chosen;
    }
    const std::string chosen = until_end(scope, other ? Reading::kBlock : Reading::kSkip);
    return taken ? result : other ? chosen : "";
  }

  // The block once for each; names are of the element, or of key and element.
  std::string each(const Value& value, const std::vector<std::string>& names, const Scope& scope) {
    if (!value.is_structured()) {
      throw fail("--format: {} is no list", text::quoted(printed(value)));
    }
    std::string result;
    const std::string_view body = rest_;
    size_t number = 0;
    for (const std::string& key : templates::keys(value)) {
      const Value& element = value.is_object() ? value.find(key).value() : value[number];
      Scope inner = scope;
      inner.dot = element;
      if (names.size() == 2) {
        inner.variables[names[0]] = value.is_object() ? Value(key) : Value(number);
      }
      if (!names.empty()) {
        inner.variables[names.back()] = element;
      }
      rest_ = body;
      result += until_end(inner, Reading::kBlock);
      ++number;
    }
    return result;
  }

  std::string_view rest_;
  std::vector<std::string> ended_by_;
};

}  // namespace

std::string expand_template(std::string_view text, const Value& value) {
  if (text == "json") {
    return json::dump(value);
  }
  return Expansion(text).all(value);
}

}  // namespace jigsaw
