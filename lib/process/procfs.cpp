#include "process/procfs.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::process {
namespace {

std::string path_of(pid_t pid, std::string_view file) { return fmt::format("/proc/{}/{}", pid, file); }

// For questions about one process: what went wrong, in terms of the process.
Error refused(pid_t pid, std::string_view what, int number) {
  if (number == ENOENT || number == ESRCH) {
    return fail("no process {}", pid).with_hint("the 'ps' command lists the ones there are");
  }
  return system_error(number, fmt::format("read the {} of process {}", what, pid))
      .with_hint("only its owner and root may look into a process");
}

std::string read_for(pid_t pid, std::string_view file, std::string_view what) {
  try {
    return files::read(path_of(pid, file));
  } catch (const Error& error) {
    throw refused(pid, what, error.error_number());
  }
}

std::string link_target(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::read_symlink(path, ignored).string();
}

// The numbers of Documentation/admin-guide/devices.txt.
std::string terminal_name(uint64_t device) {
  const unsigned number = minor(device);
  switch (major(device)) {
    case 0:
      return "?";
    case 4:
      return number < 64 ? fmt::format("tty{}", number) : fmt::format("ttyS{}", number - 64);
    case 5:
      return number == 1 ? "console" : "tty";
    default:
      break;
  }
  if (major(device) >= 136 && major(device) <= 143) {
    return fmt::format("pts/{}", (major(device) - 136) * 256 + number);
  }
  return fmt::format("{}:{}", major(device), number);
}

// "4711 (a name (with) anything) S 1 4711 …": the name ends at the last parenthesis.
ProcessEntry parse_stat(std::string_view stat) {
  const size_t open = stat.find('(');
  const size_t close = stat.rfind(')');
  const auto fields = text::words(stat.substr(close + 1));  // from "state", field 3 of proc(5)
  if (open == std::string_view::npos || close == std::string_view::npos || fields.size() < 13) {
    throw fail("a /proc/PID/stat line of an unknown form: {}", text::quoted(stat));
  }
  const auto number = [&](size_t field) { return text::to_u64(fields[field]).value_or(0); };
  const auto ticks_per_second = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return ProcessEntry{.pid = static_cast<pid_t>(text::to_u64(stat.substr(0, open - 1)).value_or(0)),
                      .parent = static_cast<pid_t>(number(1)),
                      .state = fields[0].front(),
                      .command = std::string(stat.substr(open + 1, close - open - 1)),
                      .terminal = terminal_name(number(4)),
                      .cpu_seconds = (number(11) + number(12)) / ticks_per_second};
}

}  // namespace

std::vector<ProcessEntry> processes() {
  std::vector<ProcessEntry> result;
  for (const std::string& name : files::list("/proc")) {
    const auto pid = text::to_u64(name);
    if (!pid) {
      continue;
    }
    try {
      result.push_back(parse_stat(files::read(path_of(static_cast<pid_t>(*pid), "stat"))));
    } catch (const Error& error) {
      if (error.error_number() != ENOENT && error.error_number() != ESRCH) {
        throw;
      }
    }
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return result;
}

ProcessEntry process_entry(pid_t pid) { return parse_stat(read_for(pid, "stat", "state")); }

std::string cpu_time(uint64_t seconds) {
  const uint64_t days = seconds / 86400;
  return fmt::format("{}{:02}:{:02}:{:02}", days > 0 ? fmt::format("{}-", days) : "", seconds / 3600 % 24,
                     seconds / 60 % 60, seconds % 60);
}

std::string status_field(pid_t pid, std::string_view name) {
  const std::string status = read_for(pid, "status", "status");
  for (const std::string_view line : text::lines(status)) {
    if (line.starts_with(name) && line.substr(name.size()).starts_with(':')) {
      return std::string(text::trim(line.substr(name.size() + 1)));
    }
  }
  return "";
}

std::string executable(pid_t pid) { return link_target(path_of(pid, "exe")); }

std::string working_directory(pid_t pid) { return link_target(path_of(pid, "cwd")); }

std::vector<std::string> command_line(pid_t pid) {
  const std::string raw = read_for(pid, "cmdline", "command line");
  std::vector<std::string> result;
  if (raw.empty()) {
    return result;
  }
  for (const std::string_view argument : text::split(std::string_view(raw).substr(0, raw.size() - 1), '\0')) {
    result.emplace_back(argument);
  }
  return result;
}

// "55ed56ada000-55ed56adc000 r--p 00000000 fe:00 247134    /usr/bin/cat"
std::vector<MemoryRegion> address_space(pid_t pid) {
  std::vector<MemoryRegion> result;
  const std::string maps = read_for(pid, "maps", "address space");
  for (const std::string_view line : text::lines(maps)) {
    const auto fields = text::words(line);
    const size_t dash = fields[0].find('-');
    MemoryRegion region{.permissions = std::string(fields[1])};
    region.begin = std::stoull(std::string(fields[0].substr(0, dash)), nullptr, 16);
    region.end = std::stoull(std::string(fields[0].substr(dash + 1)), nullptr, 16);
    if (fields.size() > 5) {
      region.backing = line.substr(static_cast<size_t>(fields[5].data() - line.data()));  // may hold blanks
    }
    result.push_back(std::move(region));
  }
  return result;
}

std::vector<OpenFile> open_files(pid_t pid) {
  std::vector<OpenFile> result;
  try {
    for (const std::string& name : files::list(path_of(pid, "fd"))) {
      if (const std::string target = link_target(path_of(pid, "fd/" + name)); !target.empty()) {
        result.push_back({static_cast<int>(text::parse_u64(name, "descriptor", INT32_MAX)), target});
      }
    }
  } catch (const Error& error) {
    throw refused(pid, "open files", error.error_number());
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  return result;
}

}  // namespace jigsaw::process
