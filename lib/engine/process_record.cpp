// Container::process: what a container was started with, as text and back.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "engine/containers.h"

namespace jigsaw::engine {

std::string process_json(const runtime::Process& process) {
  const auto names = [&](security::CapabilitySet set) { return json::Value(security::names_of(set)); };
  const security::Capabilities capabilities = process.capabilities.value_or(security::Capabilities{});
  const json::Value object = {
      {"user", {{"uid", process.uid}, {"gid", process.gid}, {"additionalGids", process.additional_gids}}},
      {"args", process.args},
      {"env", process.env},
      {"cwd", process.cwd},
      {"noNewPrivileges", process.no_new_privileges},
      {"capabilities",
       {{"bounding", names(capabilities.bounding)},
        {"permitted", names(capabilities.permitted)},
        {"effective", names(capabilities.effective)}}}};
  return json::dump(object);
}

runtime::Process process_of(const Container& container) {
  return runtime::parse_process(container.process, fmt::format("the record of the container {}", container.name));
}

}  // namespace jigsaw::engine
