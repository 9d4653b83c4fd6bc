#include "sdbus/bus.h"

#include <chrono>
#include <vector>

#include "base/error.h"
#include "base/explain.h"
#include "base/text.h"

namespace jigsaw::sdbus {
namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kObject = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";

// The jobs that ended while we listened: path and result.
struct Job {
  std::vector<std::pair<std::string, std::string>> ended;
};

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

}  // namespace

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

}  // namespace jigsaw::sdbus
