#include "base/error.h"

#include <cstring>

#include "base/text.h"

namespace jigsaw {

std::string errno_text(int number) {
  const char* text = ::strerrordesc_np(number);
  return text != nullptr ? text : fmt::format("error {}", number);
}

Error system_error(int number, std::string_view context) {
  return Error(fmt::format("{}: {}", context, errno_text(number))).with_errno(number);
}

Error source_error(const SourcePlace& place, std::string_view message, std::string hint) {
  // A hostile line may be megabytes long or hold terminal escapes: show a window of it, printable.
  constexpr size_t kWindow = 160;
  const size_t column = place.column > 0 ? place.column - 1 : 0;
  const size_t start = column > kWindow / 2 ? column - kWindow / 2 : 0;
  const std::string_view shown = start < place.text.size() ? place.text.substr(start, kWindow) : "";
  const std::string number = fmt::format("{}", place.line);
  const size_t marks = std::max<size_t>(1, std::min(place.length, kWindow - std::min(kWindow, column - start)));
  return Error(fmt::format("{}:{}:{}: {}\n  {} | {}\n  {:{}} | {:{}}{}", place.file, place.line, place.column,
                           message, number, text::printable_line(shown), "", number.size(), "", column - start,
                           std::string(std::min(marks, kWindow), '^')),
               std::move(hint));
}

}  // namespace jigsaw
