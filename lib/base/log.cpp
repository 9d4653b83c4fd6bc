#include "base/log.h"

#include <unistd.h>

#include <utility>

#include "base/text.h"

namespace jigsaw::log {
namespace {
Sink g_sink;
}

std::string_view name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "error";
}

void set_sink(Sink sink) { g_sink = std::move(sink); }

void write(Level level, std::string_view message) {
  if (g_sink) {
    g_sink(level, message);
  }
}

Sink to_terminal(std::string program, int fd) {
  return [program = std::move(program), fd](Level level, std::string_view message) {
    if (level >= Level::kWarning) {
      const std::string line = fmt::format("{}: {}: {}\n", program, name(level), text::printable_lines(message));
      [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
    }
  };
}

}  // namespace jigsaw::log
