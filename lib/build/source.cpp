#include "build/source.h"

namespace jigsaw::build {

std::string_view SourceText::line(size_t number) const {
  if (number == 0 || number > starts.size()) {
    return {};
  }
  const size_t start = starts[number - 1];
  const size_t end = number < starts.size() ? starts[number] - 1 : text.size();
  std::string_view line = std::string_view(text).substr(start, end - start);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) {
    line.remove_suffix(1);
  }
  return line;
}

Source make_source(std::string name, std::string text) {
  auto source = std::make_shared<SourceText>();
  source->name = std::move(name);
  source->text = std::move(text);
  if (!source->text.empty()) {
    source->starts.push_back(0);
  }
  for (size_t at = source->text.find('\n'); at != std::string::npos && at + 1 < source->text.size();
       at = source->text.find('\n', at + 1)) {
    source->starts.push_back(at + 1);
  }
  return source;
}

Error Place::error(std::string_view message, std::string hint) const {
  return source_error({.file = source->name,
                       .text = source->line(line),
                       .line = line,
                       .column = column,
                       .length = length},
                      message, std::move(hint));
}

}  // namespace jigsaw::build
