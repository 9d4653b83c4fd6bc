#include "runtime/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

namespace jigsaw::runtime {

namespace {

// Without O_NONBLOCK a FIFO that nobody reads would keep us here for ever.
constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK;

// A link in the place of the log may be meant (/dev/stderr is one), unless somebody else has put it there: then it might
// lead to any file of the host.
Fd open_log(const std::string& path) {
  Fd file(::open(path.c_str(), kFlags | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (file || errno != ELOOP) {
    check(file ? 0 : -1, "open {}", path);
    return file;
  }
  struct stat link {};
  check(::lstat(path.c_str(), &link), "open {}", path);
  if (S_ISLNK(link.st_mode) && link.st_uid != ::geteuid() && link.st_uid != 0) {
    throw Error(fmt::format("the log {} is a symbolic link of user {}", path, link.st_uid), "name the file itself");
  }
  return files::open(path, kFlags, 0644);
}

}  // namespace

log::Sink log_to_file(const std::string& path, LogFormat format, log::Level least) {
  const auto file = std::make_shared<Fd>(open_log(path));
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
