#include "runtime/log_file.h"

#include <fcntl.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

namespace jigsaw::runtime {

log::Sink log_to_file(const std::string& path, LogFormat format, log::Level least) {
  // Without O_NONBLOCK a FIFO that nobody reads would keep us here for ever.
  const auto file = std::make_shared<Fd>(files::open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK, 0644));
  ::fcntl(file->get(), F_SETFL, O_APPEND);
  return [file, format, least, path](log::Level level, std::string_view message) {
    if (level < least) {
      return;
    }
    const std::string time = text::rfc3339(std::chrono::system_clock::now());
    const std::string line =
        format == LogFormat::kJson
            ? json::dump({{"level", std::string(log::name(level))}, {"msg", std::string(message)}, {"time", time}})
            : fmt::format("time=\"{}\" level={} msg={}", time, log::name(level), text::quoted(message, 4096));
    files::write_all(file->get(), line + "\n", path);
  };
}

}  // namespace jigsaw::runtime
