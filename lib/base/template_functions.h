// What templates know beside fields: the functions of Go's text/template and of docker that their users write. Internal to
// template.cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace jigsaw::templates {

// As Go prints it.
std::string printed(const json::Value& value);
// Of an object, sorted as Go does; of a list, as many as it has elements.
std::vector<std::string> keys(const json::Value& value);
// ".Config.Cmd" of a value; null if there is none.
json::Value field(const json::Value& value, std::string_view path);
// Whether `if` takes it.
bool holds(const json::Value& value);
// Nothing: there is no such function, or it takes other arguments.
std::optional<json::Value> call(const std::string& name, const std::vector<json::Value>& given);

}  // namespace jigsaw::templates
