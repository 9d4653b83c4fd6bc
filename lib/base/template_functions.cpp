#include "base/template_functions.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::templates {

using json::Value;

std::vector<std::string> keys(const Value& value) {
  std::vector<std::string> result;
  for (const auto& [key, element] : value.items()) {
    result.push_back(key);
  }
  if (value.is_object()) {
    std::sort(result.begin(), result.end());
  }
  return result;
}

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
    for (const std::string& key : keys(value)) {
      result += fmt::format("{}{}:{}", result.empty() ? "" : " ", key, printed(value.find(key).value()));
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

bool holds(const Value& value) {
  return !value.is_null() && value != Value(false) && value != Value("") && value != Value(0) && !(value.is_structured() && value.empty());
}

namespace {

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

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

Value slice_of(const Value& value, const std::vector<Value>& ends) {
  const std::string text = value.is_string() ? value.get<std::string>() : printed(value);
  const auto end = [&](size_t i, size_t otherwise) {
    return ends.size() > i && ends[i].is_number_integer() && ends[i].get<int64_t>() >= 0 ? std::min(ends[i].get<size_t>(), text.size()) : otherwise;
  };
  const size_t from = end(0, 0);
  return Value(text.substr(from, std::max(end(1, text.size()), from) - from));
}

Value joined(const Value& list, const Value& between) {
  std::string result;
  for (size_t i = 0; list.is_array() && i < list.size(); ++i) {
    result += (i > 0 ? printed(between) : "") + printed(list[i]);
  }
  return Value(result);
}

std::string printed_all(const std::vector<Value>& values, const char* between) {
  std::string result;
  for (size_t i = 0; i < values.size(); ++i) {
    result += (i > 0 ? between : "") + printed(values[i]);
  }
  return result;
}

}  // namespace

std::optional<Value> call(const std::string& name, const std::vector<Value>& given) {
  if (name == "println" || name == "print") {
    return Value(printed_all(given, " ") + (name == "println" ? "\n" : ""));
  }
  if (given.size() == 1) {
    const Value& value = given[0];
    if (name == "json") {
      return Value(json::dump(value));
    }
    if (name == "len") {
      return Value(value.is_string() ? value.get_ref<const std::string&>().size() : value.size());
    }
    if (name == "not") {
      return Value(!holds(value));
    }
    if (name == "lower" || name == "upper") {
      return Value(name == "lower" ? text::lower(printed(value)) : upper(printed(value)));
    }
  } else if (given.size() >= 2) {
    if (name == "index") {
      return std::accumulate(given.begin() + 1, given.end(), given[0], index_of);
    }
    if (name == "slice") {
      return slice_of(given[0], {given.begin() + 1, given.end()});
    }
    if (name == "join" && given.size() == 2) {
      return joined(given[0], given[1]);
    }
    if ((name == "eq" || name == "ne") && given.size() == 2) {
      return Value((given[0] == given[1]) == (name == "eq"));
    }
  }
  return std::nullopt;
}

}  // namespace jigsaw::templates
