#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/table.h"
#include "base/text.h"
#include "oci/commands.h"

namespace jigsaw::oci {
namespace {

struct Known {
  runtime::State state;
  runtime::Status status;
};

std::vector<Known> all_states() {
  std::vector<Known> result;
  for (const std::string& id : runtime::list_ids(state_root())) {
    try {
      const auto directory = runtime::StateFile::find(state_root(), id);
      if (auto state = directory ? directory->try_load() : std::nullopt) {
        const runtime::Status status = runtime::current_status(*state);
        result.push_back({std::move(*state), status});
      }
    } catch (const Error& error) {  // one that can't be read does not hide the others
      log::warning("container {} is left out: {}", id, error.message());
    }
  }
  return result;
}

json::Value as_json(const Known& known) {
  return json::parse(runtime::state_json(known.state, known.status), "state");
}

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

}  // namespace

void add_state(CLI::App& app) {
  CLI::App* command = app.add_subcommand("state", "what is known of a container, as JSON");
  static std::string id;
  add_id(*command, id);
  on_run(*command, [] {
    const runtime::State state = runtime::StateFile::open(state_root(), id).load();
    json::Value value = as_json({state, runtime::current_status(state)});
    if (!value.contains("pid")) {
      value["pid"] = 0;  // engines read it always
    }
    print(json::dump_pretty(value));
    return 0;
  });
}

void add_list(CLI::App& app) {
  CLI::App* command = app.add_subcommand("list", "all containers");
  static std::string format = "table";
  static bool quiet = false;
  command->add_option("-f,--format", format, "table or json")->check(CLI::IsMember({"table", "json"}));
  command->add_flag("-q,--quiet", quiet, "ids only");
  on_run(*command, [] {
    if (quiet) {
      for (const std::string& id : runtime::list_ids(state_root())) {
        print(id + "\n");
      }
      return 0;
    }
    const std::vector<Known> known = all_states();
    if (format == "json") {
      json::Value list = json::Value::array();
      for (const Known& each : known) {
        list.push_back(as_json(each));
      }
      print(json::dump(list) + "\n");
      return 0;
    }
    Table table({"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"});
    for (const Known& each : known) {
      const pid_t pid = each.status == runtime::Status::kStopped ? 0 : each.state.pid;
      table.add({each.state.id, std::to_string(pid), std::string(name(each.status)), each.state.bundle,
                 text::rfc3339(each.state.when), each.state.owner});
    }
    print(table.text());
    return 0;
  });
}

void add_ps(CLI::App& app) {
  CLI::App* command = app.add_subcommand("ps", "the processes of a container");
  static std::string id;
  static std::string format = "table";
  command->add_option("-f,--format", format, "table or json")->check(CLI::IsMember({"table", "json"}));
  add_id(*command, id);
  on_run(*command, [] {
    const std::vector<pid_t> pids = runtime::processes(state_root(), id);
    if (format == "json") {
      print(json::dump(json::Value(pids)) + "\n");
      return 0;
    }
    print("PID\n");
    for (const pid_t pid : pids) {
      print(fmt::format("{}\n", pid));
    }
    return 0;
  });
}

}  // namespace jigsaw::oci
