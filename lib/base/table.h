// Table: columns as ps(1), docker ps and docker images print them.
#pragma once

#include <string>
#include <vector>

namespace jigsaw {

class Table {
 public:
  explicit Table(std::vector<std::string> headings) : rows_{std::move(headings)} {}
  // One cell for each heading. Control bytes are made printable: cells come from images and processes.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // Left-aligned columns three blanks apart; width is counted in UTF-8 characters. Ends with a newline.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace jigsaw
