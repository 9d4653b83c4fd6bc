// jigsaw-sdbus: asks systemd to make, change or stop a scope. Executed by jigsaw-oci with --systemd-cgroup.
//
//   jigsaw-sdbus start system UNIT SLICE PID [NAME=TYPE:VALUE...]
//   jigsaw-sdbus set   system UNIT [NAME=TYPE:VALUE...]
//   jigsaw-sdbus stop  system UNIT
//
// org.freedesktop.systemd1(5): StartTransientUnit, SetUnitProperties, StopUnit; a job is done when JobRemoved says so.
#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"
#include "sdbus/bus.h"

using namespace jigsaw;
using namespace jigsaw::sdbus;

namespace {

struct MainOptions {
  std::vector<std::string> words;  // "system" or "user", the unit, …
};

const std::string& word(const MainOptions& options, size_t at, const char* name) {
  if (options.words.size() <= at) {
    throw fail("{} is missing", name);
  }
  return options.words[at];
}

void start(sd_bus* bus, const MainOptions& options) {
  const std::string& unit = word(options, 1, "UNIT");
  const uint32_t pid = static_cast<uint32_t>(text::parse_u64(word(options, 3, "PID"), "PID", INT32_MAX));
  const Message message = call_to(bus, "StartTransientUnit");
  sd_bus_message* raw = message.get();
  must(sd_bus_message_append(raw, "ss", unit.c_str(), "fail"), unit);
  must(sd_bus_message_open_container(raw, 'a', "(sv)"), "write the properties");
  must(sd_bus_message_append(raw, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", "a container of jigsaw", "Slice", "s",
                             word(options, 2, "SLICE").c_str(), "Delegate", "b", 1, "PIDs", "au", 1, pid, "DefaultDependencies", "b", 0,
                             "MemoryAccounting", "b", 1, "CPUAccounting", "b", 1, "TasksAccounting", "b", 1), "write the properties");
  for (size_t at = 4; at < options.words.size(); ++at) {
    append_property(raw, options.words[at]);
  }
  must(sd_bus_message_close_container(raw), "write the properties");
  must(sd_bus_message_append(raw, "a(sa(sv))", 0), "write the properties");
  run_job(bus, message, fmt::format("start the scope {}", unit));
}

void set(sd_bus* bus, const MainOptions& options) {
  const std::string& unit = word(options, 1, "UNIT");
  const Message message = call_to(bus, "SetUnitProperties");
  must(sd_bus_message_append(message.get(), "sb", unit.c_str(), 1), unit);
  must(sd_bus_message_open_container(message.get(), 'a', "(sv)"), "write the properties");
  for (size_t at = 2; at < options.words.size(); ++at) {
    append_property(message.get(), options.words[at]);
  }
  must(sd_bus_message_close_container(message.get()), "write the properties");
  send(bus, message, fmt::format("set the properties of {}", unit));
}

void stop(sd_bus* bus, const MainOptions& options) {
  const std::string& unit = word(options, 1, "UNIT");
  const Message message = call_to(bus, "StopUnit");
  must(sd_bus_message_append(message.get(), "ss", unit.c_str(), "replace"), unit);
  try {
    run_job(bus, message, fmt::format("stop the scope {}", unit));
  } catch (const Error& error) {
    if (error.message().find("not loaded") == std::string::npos) {  // it is gone already
      throw;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  MainOptions options;
  return cli::run_main(argc, argv, {"jigsaw-sdbus", "ask systemd for a container's cgroup"}, [&](CLI::App& app) {
    for (const auto& [name, action] : {std::pair{"start", &start}, std::pair{"set", &set}, std::pair{"stop", &stop}}) {
      CLI::App* command = app.add_subcommand(name, "see the top of its source");
      cli::take_command_line(*command, options.words);
      cli::on_run(*command, [&options, action = action] {
        const Bus bus = connect(options.words.front());
        action(bus.get(), options);
        return 0;
      });
    }
  });
}
