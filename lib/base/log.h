// Log: warnings and debug lines of the library go to one sink that the program chooses. The library never prints.
//
// A warning is something the user should know although the work goes on ("capability CAP_SYS_RESOURCE can't be
// granted here"). An OCI runtime also writes its log to the file named by --log, where containerd's shim looks for
// the last line's "msg".
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>

namespace jigsaw::log {

enum class Level { kDebug, kInfo, kWarning, kError };
std::string_view name(Level level);  // "debug", "info", "warning", "error"

using Sink = std::function<void(Level, std::string_view message)>;
// Replaces the sink; without one, messages are dropped.
void set_sink(Sink sink);
void write(Level level, std::string_view message);

template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}

// A sink that writes "jigsaw: warning: …" lines to a descriptor and drops debug lines.
Sink to_terminal(std::string program, int fd);

}  // namespace jigsaw::log
