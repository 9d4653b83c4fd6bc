#include "base/template.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw {
namespace {

using json::Value;

std::string printed(const Value& value) {
  if (value.is_null()) {
    return "<no value>";
  }
  if (value.is_string()) {
    return value.get<std::string>();
  }
  std::string result;
  if (value.is_array()) {
    for (const Value& element : value) {
      result += (result.empty() ? "" : " ") + printed(element);
    }
    return "[" + result + "]";
  }
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) {
      result += fmt::format("{}{}:{}", result.empty() ? "" : " ", key, printed(member));
    }
    return "map[" + result + "]";
  }
  return json::dump(value);
}

Value field(const Value& value, std::string_view path) {
  const Value* at = &value;
  for (const std::string_view name : text::split(path, '.')) {
    if (name.empty()) {
      continue;
    }
    if (!at->is_object()) {
      return Value();
    }
    const auto member = at->find(std::string(name));
    if (member == at->end()) {
      return Value();
    }
    at = &*member;
  }
  return *at;
}

// The words of an action; a quoted one may hold blanks and keeps its first quote as a mark.
std::vector<std::string> words_of(std::string_view action) {
  std::vector<std::string> words;
  while (!(action = text::trim(action)).empty()) {
    if (action[0] == '"') {
      const size_t end = action.find('"', 1);
      if (end == std::string_view::npos) {
        throw fail("--format: a text lacks its closing quote");
      }
      words.emplace_back(action.substr(0, end));
      action.remove_prefix(end + 1);
    } else {
      const size_t end = std::min(action.find_first_of(" \t"), action.size());
      words.emplace_back(action.substr(0, end));
      action.remove_prefix(end);
    }
  }
  return words;
}

Value argument(const std::string& word, const Value& dot) {
  if (word.starts_with('.')) {
    return field(dot, word);
  }
  if (word.starts_with('"')) {
    return Value(word.substr(1));
  }
  if (const auto number = text::to_i64(word)) {
    return Value(*number);
  }
  throw fail("--format: {} is no field: a field starts with a dot", text::quoted(word));
}

Value index_of(const Value& value, const Value& key) {
  if (value.is_array() && key.is_number_integer() && key.get<int64_t>() >= 0 && key.get<size_t>() < value.size()) {
    return value[key.get<size_t>()];
  }
  if (value.is_object() && key.is_string()) {
    const auto member = value.find(key.get<std::string>());
    return member == value.end() ? Value() : *member;
  }
  return Value();
}

std::string action_text(const std::vector<std::string>& words, const Value& dot) {
  const std::string& name = words[0];
  if (name.starts_with('.') && words.size() == 1) {
    return printed(field(dot, name));
  }
  if (name == "json" && words.size() == 2) {
    return json::dump(argument(words[1], dot));
  }
  if (name == "len" && words.size() == 2) {
    const Value value = argument(words[1], dot);
    return std::to_string(value.is_string() ? value.get_ref<const std::string&>().size() : value.size());
  }
  if (name == "index" && words.size() >= 3) {
    Value value = argument(words[1], dot);
    for (size_t i = 2; i < words.size(); ++i) {
      value = index_of(value, argument(words[i], dot));
    }
    return printed(value);
  }
  if (name == "println" || name == "print") {
    std::string result;
    for (size_t i = 1; i < words.size(); ++i) {
      result += (i > 1 ? " " : "") + printed(argument(words[i], dot));
    }
    return result + (name == "println" ? "\n" : "");
  }
  throw Error(fmt::format("--format: {} is not understood", text::quoted(text::join(words, " "))),
              "it knows {{.Field}}, json, len, index, print, println, range … end and if … end");
}

// Takes text up to the {{end}} that closes it (or to the end) off the front of `rest`.
std::string expand(std::string_view& rest, const Value& dot, bool inside) {
  std::string result;
  while (true) {
    const size_t open = rest.find("{{");
    result += rest.substr(0, open);
    if (open == std::string_view::npos) {
      if (inside) {
        throw fail("--format: a range or if lacks its {{{{end}}}}");
      }
      rest = {};
      return result;
    }
    const size_t close = rest.find("}}", open);
    if (close == std::string_view::npos) {
      throw fail("--format: {{{{ lacks its }}}}");
    }
    const std::vector<std::string> words = words_of(rest.substr(open + 2, close - open - 2));
    rest.remove_prefix(close + 2);
    if (words.empty()) {
      throw fail("--format: nothing stands between {{{{ and }}}}");
    }
    if (words[0] == "end" && inside) {
      return result;
    }
    if ((words[0] == "range" || words[0] == "if") && words.size() == 2) {
      const Value value = argument(words[1], dot);
      const std::string_view body = rest;
      if (words[0] == "range") {
        for (const Value& each : value) {
          std::string_view again = body;
          result += expand(again, each, true);
        }
        expand(rest, Value(), true);  // only to find its end
      } else {
        const bool holds = !value.is_null() && value != Value(false) && value != Value("") && value != Value(0) &&
                           !(value.is_structured() && value.empty());
        const std::string text = expand(rest, dot, true);
        result += holds ? text : "";
      }
      continue;
    }
    result += action_text(words, dot);
  }
}

}  // namespace

std::string expand_template(std::string_view text, const Value& value) {
  if (text == "json") {
    return json::dump(value);
  }
  return expand(text, value, false);
}

}  // namespace jigsaw
