// Lists as users of docker ask for them: a table, or whatever --format makes of each row.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace jigsaw::commands {

// Heading and member of each column of the usual table.
using Columns = std::vector<std::pair<std::string, std::string>>;

inline constexpr const char* kFormatHelp = "json, a template such as {{.ID}}, or 'table {{.ID}}\\t{{.Size}}'";

// `rows` are objects of strings. `format`: "" for the table of `columns`, "json" for an object a line, a template for each
// row, or one behind the word "table", which gets headings. \t and \n in it are what they are in C.
std::string listing(const std::vector<json::Value>& rows, const Columns& columns, const std::string& format);

}  // namespace jigsaw::commands
