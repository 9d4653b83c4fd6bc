#include "commands/listing.h"

#include <nlohmann/json.hpp>

#include "base/table.h"
#include "base/template.h"
#include "base/text.h"

namespace jigsaw::commands {
namespace {

std::string unescaped(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    if (next == 't' || next == 'n') {
      result += next == 't' ? '\t' : '\n';
      ++i;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> result;
  for (const std::string_view cell : text::split(line, '\t')) {
    result.emplace_back(cell);
  }
  return result;
}

// Without tabs, which would begin a new column.
json::Value printable(json::Value row) {
  for (auto& [key, value] : row.items()) {
    value = text::printable_line(value.get<std::string>());
  }
  return row;
}

// What {{.CreatedSince}} is called: its heading in the usual table, or the word in capitals.
json::Value headings(const std::vector<json::Value>& rows, const Columns& columns) {
  json::Value result = json::Value::object();
  for (const json::Value& row : rows) {
    for (const auto& [key, value] : row.items()) {
      result[key] = text::upper(key);
    }
  }
  for (const auto& [heading, key] : columns) {
    result[key] = heading;
  }
  return result;
}

}  // namespace

std::string listing(const std::vector<json::Value>& rows, const Columns& columns, const std::string& format) {
  std::string result;
  if (format == "json") {
    for (const json::Value& row : rows) {
      result += json::dump(row) + "\n";
    }
    return result;
  }
  if (!format.empty() && !format.starts_with("table")) {
    const std::string line = unescaped(format);
    for (const json::Value& row : rows) {
      result += expand_template(line, row) + "\n";
    }
    return result;
  }
  const std::string given = unescaped(std::string(text::trim(std::string_view(format).substr(format.empty() ? 0 : 5))));
  const auto row_cells = [&](const json::Value& row) {
    if (!given.empty()) {
      return cells(expand_template(given, printable(row)));
    }
    std::vector<std::string> plain;
    for (const auto& [heading, key] : columns) {
      plain.push_back(row.at(key).get<std::string>());
    }
    return plain;
  };
  Table table(row_cells(headings(rows, columns)));
  for (const json::Value& row : rows) {
    table.add(row_cells(row));
  }
  return table.text();
}

}  // namespace jigsaw::commands
