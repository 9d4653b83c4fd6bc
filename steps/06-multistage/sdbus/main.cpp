// jigsaw-sdbus: asks systemd to make, change or stop a scope. Executed by jigsaw-oci with --systemd-cgroup.
//
//   jigsaw-sdbus start system UNIT SLICE PID [NAME=TYPE:VALUE...]
//   jigsaw-sdbus set   system UNIT [NAME=TYPE:VALUE...]
//   jigsaw-sdbus stop  system UNIT
//
// org.freedesktop.systemd1(5): StartTransientUnit, SetUnitProperties, StopUnit; a job is done when JobRemoved says so.
#include <systemd/sd-bus.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "base/cli.h"
#include "base/error.h"
#include "base/explain.h"
#include "base/text.h"

using namespace jigsaw;

namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kObject = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";

template <class Thing, Thing* (*Unref)(Thing*)>
struct Unreference {
  void operator()(Thing* thing) const { Unref(thing); }
};
using Bus = std::unique_ptr<sd_bus, Unreference<sd_bus, sd_bus_flush_close_unref>>;
using Message = std::unique_ptr<sd_bus_message, Unreference<sd_bus_message, sd_bus_message_unref>>;

struct Options {
  std::vector<std::string> words;  // "system" or "user", the unit, …
};

// What systemd is doing for us, and how it ended.
struct Job {
  std::string path;
  std::string result;
  std::vector<std::pair<std::string, std::string>> ended;
};

void must(int rc, std::string_view what) {
  if (rc < 0) {
    throw system_error(-rc, what);
  }
}

Bus connect(const std::string& keeper) {
  sd_bus* bus = nullptr;
  const int rc = keeper == "user" ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
  if (rc < 0) {
    throw system_error(-rc, fmt::format("connect to {} systemd", keeper == "user" ? "the user's" : "the system's"))
        .with_hint("is systemd running here, with dbus? use --cgroup-manager cgroupfs without it");
  }
  return Bus(bus);
}

Message call_to(sd_bus* bus, const char* method) {
  sd_bus_message* message = nullptr;
  must(sd_bus_message_new_method_call(bus, &message, kService, kObject, kManager, method), method);
  return Message(message);
}

Message send(sd_bus* bus, const Message& message, const std::string& what) {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  sd_bus_message* answer = nullptr;
  const int rc = sd_bus_call(bus, message.get(), 0, &error, &answer);
  explain::note(fmt::format("systemd: {}", what), "it keeps the cgroup tree, so it makes the cgroup");
  if (rc < 0) {
    Error problem = fail("systemd does not {}: {}", what, error.message != nullptr ? error.message : errno_text(-rc));
    sd_bus_error_free(&error);
    throw problem;
  }
  return Message(answer);
}

// "MemoryMax=t:67108864": t a 64-bit number, b true or false, s a text.
void append_property(sd_bus_message* message, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || text.size() < equals + 3 || text[equals + 2] != ':') {
    throw fail("{} is no property", text::quoted(text)).with_hint("write NAME=TYPE:VALUE");
  }
  const std::string name = text.substr(0, equals);
  const std::string value = text.substr(equals + 3);
  switch (text[equals + 1]) {
    case 't': must(sd_bus_message_append(message, "(sv)", name.c_str(), "t", text::parse_u64(value, name)), name); break;
    case 'b': must(sd_bus_message_append(message, "(sv)", name.c_str(), "b", value == "true" ? 1 : 0), name); break;
    case 's': must(sd_bus_message_append(message, "(sv)", name.c_str(), "s", value.c_str()), name); break;
    default: throw fail("{} has an unknown type", text::quoted(text));
  }
}

int job_removed(sd_bus_message* message, void* data, sd_bus_error*) {
  uint32_t number = 0;
  const char* path = nullptr;
  const char* unit = nullptr;
  const char* result = nullptr;
  if (sd_bus_message_read(message, "uoss", &number, &path, &unit, &result) >= 0) {
    static_cast<Job*>(data)->ended.emplace_back(path, result);
  }
  return 0;
}

// Sends a call that starts a job, and waits for its end.
void run_job(sd_bus* bus, const Message& message, const std::string& what) {
  Job job;
  must(sd_bus_match_signal(bus, nullptr, kService, kObject, kManager, "JobRemoved", job_removed, &job), "listen to systemd");
  const Message answer = send(bus, message, what);
  const char* path = nullptr;
  must(sd_bus_message_read(answer.get(), "o", &path), "read systemd's answer");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    for (const auto& [ended, result] : job.ended) {
      if (ended == path && result != "done") {
        throw fail("systemd could not {}: {}", what, result).with_hint("journalctl -e says more");
      }
      if (ended == path) {
        return;
      }
    }
    const int rc = sd_bus_process(bus, nullptr);
    must(rc, "talk to systemd");
    if (rc == 0) {
      must(sd_bus_wait(bus, 1000000), "wait for systemd");
    }
  }
  throw fail("systemd did not {} within 30 seconds", what);
}

const std::string& word(const Options& options, size_t at, const char* name) {
  if (options.words.size() <= at) {
    throw fail("{} is missing", name);
  }
  return options.words[at];
}

void start(sd_bus* bus, const Options& options) {
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

void set(sd_bus* bus, const Options& options) {
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

void stop(sd_bus* bus, const Options& options) {
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
  Options options;
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
