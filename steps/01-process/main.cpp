// 01-process: a container is, first of all, a process.
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/journal.h"
#include "base/table.h"
#include "base/text.h"
#include "process/exec.h"
#include "process/init.h"
#include "process/options.h"
#include "process/procfs.h"
#include "process/signals.h"
#include "process/spawn.h"

using namespace jigsaw;

namespace {

struct Options {
  std::string run_root;
  process::ProgramOptions program;
  std::string pid;
};

// The child's side: its surroundings, then the program.
[[noreturn]] void become_program(const process::ProgramOptions& options) {
  process::Program program{options.command, process::current_environment()};
  for (const std::string& assignment : options.environment) {
    process::set_variable(program.environment, assignment);
  }
  if (!options.directory.empty()) {
    sys::chdir(options.directory, "the program starts in the directory asked for");
  }
  process::exec(program);
}

int run(const Options& options) {
  journal::Record record(journal::directory_for(options.run_root), journal::common_kinds());
  process::become_subreaper();
  const process::SignalGuard guard;
  process::Child child = process::spawn({}, [&](process::Gate&) -> int { become_program(options.program); });
  record.note("process", journal::process_name(child.pid()));
  child.release();
  child.wait_started();
  return process::supervise(child).exit_code();
}

int ps() {
  Table table({"PID", "TTY", "TIME", "CMD"});
  for (const process::ProcessEntry& entry : process::processes()) {
    table.add({std::to_string(entry.pid), entry.terminal, process::cpu_time(entry.cpu_seconds),
               entry.command + (entry.state == 'Z' ? " <defunct>" : "")});
  }
  fmt::print("{}", table.text());
  return 0;
}

int inspect(const Options& options) {
  const auto pid = static_cast<pid_t>(text::parse_u64(options.pid, "PID", INT32_MAX));
  const process::ProcessEntry entry = process::process_entry(pid);
  const auto regions = process::address_space(pid);
  const auto files = process::open_files(pid);
  fmt::print("process {} ({})\n", pid, entry.command);
  for (const auto& [what, value] : std::vector<std::pair<std::string, std::string>>{
           {"parent", fmt::format("{}", entry.parent)},
           {"state", process::status_field(pid, "State")},
           {"program", process::executable(pid)},
           {"arguments", text::shell_words(process::command_line(pid))},
           {"directory", process::working_directory(pid)},
           {"user ids", process::status_field(pid, "Uid")},
           {"threads", process::status_field(pid, "Threads")},
           {"virtual memory", process::status_field(pid, "VmSize")},
           {"in RAM", process::status_field(pid, "VmRSS")}}) {
    fmt::print("  {:<16}{}\n", what, text::printable_line(value));
  }
  fmt::print("\naddress space: {} regions\n", regions.size());
  for (const process::MemoryRegion& region : regions) {
    fmt::print("  {:012x}-{:012x} {} {:>8} kB  {}\n", region.begin, region.end, region.permissions,
               (region.end - region.begin) / 1024, text::printable_line(region.backing));
  }
  fmt::print("\nopen files: {}\n", files.size());
  for (const process::OpenFile& file : files) {
    fmt::print("  {:>3} -> {}\n", file.number, text::printable_line(file.target));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  const cli::Program program{"01-process", "run a program as a child process, and look at processes"};
  return cli::run_main(argc, argv, program, [&](CLI::App& app) {
    CLI::App* run_command = app.add_subcommand("run", "run a program and hand on its exit code");
    process::add_program_options(*run_command, options.program);
    cli::take_command_line(*run_command, options.program.command);
    cli::on_run(*run_command, [&] { return run(options); });

    cli::on_run(*app.add_subcommand("ps", "list processes as ps(1) does"), ps);

    CLI::App* inspect_command = app.add_subcommand("inspect", "a process: parent, address space, open files");
    inspect_command->add_option("PID", options.pid, "the process to look at")->required();
    cli::on_run(*inspect_command, [&] { return inspect(options); });

    cli::add_records(app, options.run_root, journal::common_kinds());
  });
}
