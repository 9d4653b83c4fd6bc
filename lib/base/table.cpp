#include "base/table.h"

#include <algorithm>

#include "base/text.h"

namespace jigsaw {
namespace {

size_t width(const std::string& cell) {
  return static_cast<size_t>(
      std::count_if(cell.begin(), cell.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string Table::text() const {
  std::vector<size_t> widths(rows_.front().size());
  std::vector<std::vector<std::string>> printable = rows_;
  for (auto& row : printable) {
    for (size_t column = 0; column < row.size() && column < widths.size(); ++column) {
      row[column] = text::printable_line(row[column]);
      widths[column] = std::max(widths[column], width(row[column]));
    }
  }
  std::string result;
  for (const auto& row : printable) {
    for (size_t column = 0; column < row.size() && column < widths.size(); ++column) {
      const bool last = column + 1 == row.size();
      result += row[column] + (last ? "" : std::string(widths[column] - width(row[column]) + 3, ' '));
    }
    result.erase(result.find_last_not_of(' ') + 1);
    result += '\n';
  }
  return result;
}

}  // namespace jigsaw
