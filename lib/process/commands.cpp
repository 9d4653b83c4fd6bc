#include "process/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/cli.h"
#include "base/table.h"
#include "base/text.h"
#include "process/procfs.h"

namespace jigsaw::process {
namespace {

int ps() {
  Table table({"PID", "TTY", "TIME", "CMD"});
  for (const ProcessEntry& entry : processes()) {
    table.add({std::to_string(entry.pid), entry.terminal, cpu_time(entry.cpu_seconds),
               entry.command + (entry.state == 'Z' ? " <defunct>" : "")});
  }
  fmt::print("{}", table.text());
  return 0;
}

int inspect(const std::string& pid_text) {
  const auto pid = static_cast<pid_t>(text::parse_u64(pid_text, "PID", INT32_MAX));
  const ProcessEntry entry = process_entry(pid);
  const auto regions = address_space(pid);
  const auto files = open_files(pid);
  fmt::print("process {} ({})\n", pid, entry.command);
  for (const auto& [what, value] :
       std::vector<std::pair<std::string, std::string>>{{"parent", fmt::format("{}", entry.parent)},
                                                        {"state", status_field(pid, "State")},
                                                        {"program", executable(pid)},
                                                        {"arguments", text::shell_words(command_line(pid))},
                                                        {"directory", working_directory(pid)},
                                                        {"user ids", status_field(pid, "Uid")},
                                                        {"threads", status_field(pid, "Threads")},
                                                        {"virtual memory", status_field(pid, "VmSize")},
                                                        {"in RAM", status_field(pid, "VmRSS")}}) {
    fmt::print("  {:<16}{}\n", what, text::printable_line(value));
  }
  fmt::print("\naddress space: {} regions\n", regions.size());
  for (const MemoryRegion& region : regions) {
    fmt::print("  {:012x}-{:012x} {} {:>8} kB  {}\n", region.begin, region.end, region.permissions,
               (region.end - region.begin) / 1024, text::printable_line(region.backing));
  }
  fmt::print("\nopen files: {}\n", files.size());
  for (const OpenFile& file : files) {
    fmt::print("  {:>3} -> {}\n", file.number, text::printable_line(file.target));
  }
  return 0;
}

}  // namespace

void add_process_commands(CLI::App& app) {
  cli::on_run(*app.add_subcommand("ps", "list processes as ps(1) does"), ps);

  CLI::App* inspect_command = app.add_subcommand("inspect", "a process: parent, address space, open files");
  const auto pid = std::make_shared<std::string>();
  inspect_command->add_option("PID", *pid, "the process to look at")->required();
  cli::on_run(*inspect_command, [pid] { return inspect(*pid); });
}

}  // namespace jigsaw::process
