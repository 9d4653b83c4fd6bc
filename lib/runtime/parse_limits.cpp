#include <limits>

#include "base/error.h"
#include "runtime/parse.h"

namespace jigsaw::runtime::parse {
namespace {

cgroups::MemoryLimits memory(const json::View& view) {
  cgroups::MemoryLimits result{.limit = optional_integer(view, "limit"),
                               .reservation = optional_integer(view, "reservation"),
                               .swap = optional_integer(view, "swap"),
                               .kernel = optional_integer(view, "kernel"),
                               .kernel_tcp = optional_integer(view, "kernelTCP"),
                               .swappiness = optional_unsigned(view, "swappiness")};
  const auto boolean = [](const json::View& v) { return v.boolean(); };
  optionally(view, "disableOOMKiller", result.disable_oom_killer, boolean);
  optionally(view, "checkBeforeUpdate", result.check_before_update, boolean);
  return result;
}

cgroups::CpuLimits cpu(const json::View& view) {
  return {.shares = optional_unsigned(view, "shares"),
          .quota = optional_integer(view, "quota"),
          .period = optional_unsigned(view, "period"),
          .burst = optional_unsigned(view, "burst"),
          .realtime_runtime = optional_integer(view, "realtimeRuntime"),
          .realtime_period = optional_unsigned(view, "realtimePeriod"),
          .idle = optional_integer(view, "idle"),
          .cpus = view.string_or("cpus", ""),
          .mems = view.string_or("mems", "")};
}

std::vector<cgroups::ThrottleDevice> throttles(const json::View& view, std::string_view key) {
  std::vector<cgroups::ThrottleDevice> result;
  if (const auto list = view.find(key)) {
    list->each([&](const json::View& each) {
      result.push_back({each.at("major").integer(), each.at("minor").integer(), each.at("rate").unsigned_integer()});
    });
  }
  return result;
}

cgroups::BlockIoLimits block_io(const json::View& view) {
  cgroups::BlockIoLimits result{.weight = optional_unsigned(view, "weight"),
                                .leaf_weight = optional_unsigned(view, "leafWeight"),
                                .read_bps = throttles(view, "throttleReadBpsDevice"),
                                .write_bps = throttles(view, "throttleWriteBpsDevice"),
                                .read_iops = throttles(view, "throttleReadIOPSDevice"),
                                .write_iops = throttles(view, "throttleWriteIOPSDevice")};
  if (const auto list = view.find("weightDevice")) {
    list->each([&](const json::View& each) {
      result.weight_devices.push_back({each.at("major").integer(), each.at("minor").integer(),
                                       optional_unsigned(each, "weight"), optional_unsigned(each, "leafWeight")});
    });
  }
  return result;
}

cgroups::DeviceRule device_rule(const json::View& view) {
  cgroups::DeviceRule rule;
  rule.answer = view.at("allow").boolean() ? cgroups::DeviceRule::Answer::kAllow : cgroups::DeviceRule::Answer::kDeny;
  const std::string type = view.string_or("type", "a");
  if (type != "a" && type != "b" && type != "c" && !type.empty()) {
    view.at("type").refuse("must be a, b or c");
  }
  rule.kind = type.empty() ? cgroups::DeviceRule::Kind::kAll : static_cast<cgroups::DeviceRule::Kind>(type.front());
  const auto number = [&](std::string_view key) {
    const auto value = optional_integer(view, key);
    return value && *value == -1 ? std::nullopt : value;  // which is written for "any"
  };
  rule.major = number("major");
  rule.minor = number("minor");
  rule.access = view.string_or("access", "rwm");
  if (rule.access.find_first_not_of("rwm") != std::string::npos) {
    view.at("access").refuse("must be made of r, w and m");
  }
  if (rule.access.empty()) {
    rule.access = "rwm";
  }
  return rule;
}

cgroups::NetworkLimits network(const json::View& view) {
  cgroups::NetworkLimits result;
  optionally(view, "classID", result.class_id, [](const json::View& v) { return static_cast<uint32_t>(v.unsigned_integer(UINT32_MAX)); });
  if (const auto list = view.find("priorities")) {
    list->each([&](const json::View& each) {
      result.priorities.push_back({each.at("name").string(), static_cast<uint32_t>(each.at("priority").unsigned_integer(UINT32_MAX))});
    });
  }
  return result;
}

}  // namespace

cgroups::Limits limits(const json::View& view) {
  cgroups::Limits result;
  if (const auto part = view.find("memory")) {
    result.memory = memory(*part);
  }
  if (const auto part = view.find("cpu")) {
    result.cpu = cpu(*part);
  }
  if (const auto part = view.find("pids")) {
    result.pids = optional_integer(*part, "limit");
  }
  if (const auto part = view.find("blockIO")) {
    result.block_io = block_io(*part);
  }
  if (const auto list = view.find("hugepageLimits")) {
    list->each([&](const json::View& each) {
      result.hugepages.push_back({each.at("pageSize").string(), each.at("limit").unsigned_integer()});
    });
  }
  if (const auto part = view.find("network")) {
    result.network = network(*part);
  }
  if (const auto map = view.find("rdma")) {
    map->each_member([&](const std::string& device, const json::View& each) {
      const auto number = [](const json::View& v) { return static_cast<uint32_t>(v.unsigned_integer(UINT32_MAX)); };
      cgroups::RdmaLimit limit;
      optionally(each, "hcaHandles", limit.handles, number);
      optionally(each, "hcaObjects", limit.objects, number);
      result.rdma[device] = limit;
    });
  }
  if (const auto list = view.find("devices")) {
    list->each([&](const json::View& each) { result.devices.push_back(device_rule(each)); });
  }
  if (const auto map = view.find("unified")) {
    result.unified = map->string_map();
  }
  return result;
}

}  // namespace jigsaw::runtime::parse
