#include "base/explain.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::explain {
namespace {

// Process-wide on purpose: a clone inherits it, and no signature carries it.
Format g_format = Format::kOff;
int g_fd = -1;
bool g_colour = false;

void write_whole(const std::string& text) {
  [[maybe_unused]] const ssize_t written = ::write(g_fd, text.data(), text.size());
}

std::string json_line(const nlohmann::ordered_json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string paint(std::string_view colour, std::string_view text) {
  return g_colour ? fmt::format("\033[{}m{}\033[0m", colour, text) : std::string(text);
}

void write_text(const Call& call, std::string_view why, std::string_view answer) {
  const std::string pid = fmt::format("[{}] ", ::getpid());
  const std::string indent(pid.size(), ' ');
  std::string lines = fmt::format("{}{}({}){}\n", pid, paint("1", call.name), call.arguments, answer);
  if (!why.empty()) {
    lines += fmt::format("{}why: {}\n", indent, paint("32", why));
  }
  if (!call.shell.empty()) {
    lines += fmt::format("{}sh:  {}\n", indent, paint("36", call.shell));
  }
  write_whole(lines);
}

// https://no-color.org
bool shows_colours(int fd) {
  const char* no = ::getenv("NO_COLOR");
  const char* terminal = ::getenv("TERM");
  return ::isatty(fd) == 1 && (no == nullptr || *no == '\0') && terminal != nullptr && std::string_view(terminal) != "dumb";
}

}  // namespace

void start(Format format, int fd) {
  g_fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 100);
  g_format = g_fd >= 0 ? format : Format::kOff;
  g_colour = shows_colours(fd);
}

bool on() { return g_format != Format::kOff; }
Format format() { return g_format; }
int descriptor() { return g_fd; }

void report(const Call& call, std::string_view why, long result, int error) {
  const char* error_name = error != 0 ? ::strerrorname_np(error) : nullptr;
  if (g_format == Format::kJson) {
    nlohmann::ordered_json object = {{"pid", ::getpid()}, {"call", call.name}, {"arguments", call.arguments},
                                     {"why", why}, {"shell", call.shell}, {"result", result}};
    object["error"] = error_name != nullptr ? nlohmann::ordered_json(error_name) : nlohmann::ordered_json();
    write_whole(json_line(object));
    return;
  }
  write_text(call, why,
             error != 0 ? fmt::format(" = {} {}", result,
                                      paint("31", fmt::format("{} ({})", error_name != nullptr ? error_name : "?",
                                                              errno_text(error))))
                        : fmt::format(" = {}", result));
}

void announce(const Call& call, std::string_view why) {
  if (g_format == Format::kJson) {
    write_whole(json_line({{"pid", ::getpid()}, {"call", call.name}, {"arguments", call.arguments},
                           {"why", why}, {"shell", call.shell}, {"result", nullptr}, {"error", nullptr}}));
  } else if (g_format == Format::kText) {
    write_text(call, why, "");
  }
}

void note(std::string_view what, std::string_view why) {
  if (g_format == Format::kJson) {
    write_whole(json_line({{"pid", ::getpid()}, {"note", what}, {"why", why}}));
  } else if (g_format == Format::kText) {
    const std::string pid = fmt::format("[{}] ", ::getpid());
    write_whole(fmt::format("{}{}\n{}", pid, what,
                            why.empty() ? "" : fmt::format("{:{}}why: {}\n", "", pid.size(), paint("32", why))));
  }
}

}  // namespace jigsaw::explain
