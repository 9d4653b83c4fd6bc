#include <sched.h>
#include <sys/mount.h>

#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "namespaces/sets.h"
#include "runtime/parse.h"

namespace jigsaw::runtime::parse {
namespace {

constexpr uint64_t kMaxMapped = 0xffffffff;

std::vector<namespaces::IdRange> ranges(const json::View& view) {
  std::vector<namespaces::IdRange> result;
  view.each([&](const json::View& each) {
    result.push_back({.inside = static_cast<uint32_t>(each.at("containerID").unsigned_integer(kMaxMapped)),
                      .outside = static_cast<uint32_t>(each.at("hostID").unsigned_integer(kMaxMapped)),
                      .count = static_cast<uint32_t>(each.at("size").unsigned_integer(kMaxMapped))});
  });
  return result;
}

std::vector<Namespace> namespace_list(const json::View& view) {
  std::vector<Namespace> result;
  uint64_t seen = 0;
  view.each([&](const json::View& each) {
    const std::string word = each.at("type").string();
    const namespaces::Kind* kind = namespaces::find(word);
    if (kind == nullptr || kind->oci != word) {
      each.at("type").refuse("is no kind of namespace");
    }
    if ((seen & kind->flag) != 0) {
      each.refuse("names a kind of namespace for the second time");
    }
    seen |= kind->flag;
    result.push_back({kind->flag, each.string_or("path", "")});
    if (!result.back().path.empty() && !result.back().path.starts_with('/')) {
      each.at("path").refuse("must be an absolute path");
    }
  });
  return result;
}

rootfs::Device device(const json::View& view) {
  rootfs::Device result;
  result.path = view.at("path").string();
  const std::string type = view.at("type").string();
  if (type.size() != 1 || std::string_view("cbup").find(type) == std::string_view::npos) {
    view.at("type").refuse("must be c, b, u or p");
  }
  result.type = type.front();
  if (result.type != 'p') {
    result.major = static_cast<uint32_t>(view.at("major").unsigned_integer(0xfff));
    result.minor = static_cast<uint32_t>(view.at("minor").unsigned_integer(0xfffff));
  }
  result.mode = view.find("fileMode") ? static_cast<mode_t>(view.at("fileMode").unsigned_integer() & 07777) : 0666;
  const auto owner = [&](std::string_view key) {
    const auto id = view.find(key);
    return id ? static_cast<uint32_t>(id->unsigned_integer(kMaxMapped - 1)) : 0;  // the last one means "leave it" to the kernel
  };
  result.uid = owner("uid");
  result.gid = owner("gid");
  return result;
}

uint64_t propagation(const json::View& view) {
  const std::string word = view.string();
  rootfs::Mount mount;
  rootfs::apply_options(mount, {word});
  if (mount.propagation.size() != 1) {
    view.refuse("must be shared, slave, private or unbindable, or one of these with an r before it");
  }
  return mount.propagation.front();
}

}  // namespace

namespaces::IdMaps id_maps(const json::View& owner, const char* uids, const char* gids) {
  namespaces::IdMaps maps;
  if (const auto list = owner.find(uids)) {
    maps.uids = ranges(*list);
  }
  if (const auto list = owner.find(gids)) {
    maps.gids = ranges(*list);
  }
  return maps;
}

void linux_part(const json::View& view, Spec& spec) {
  if (const auto list = view.find("namespaces")) {
    spec.namespaces = namespace_list(*list);
  }
  spec.id_maps = id_maps(view, "uidMappings", "gidMappings");
  if (const auto offsets = view.find("timeOffsets")) {
    offsets->each_member([&](const std::string& clock, const json::View& each) {
      spec.time_offsets[clock] = {number_or<int64_t>(each, "secs", 0), number_or<uint32_t>(each, "nanosecs", 0)};
    });
  }
  if (const auto list = view.find("devices")) {
    list->each([&](const json::View& each) { spec.devices.push_back(device(each)); });
  }
  if (const auto list = view.find("netDevices")) {
    list->each_member([&](const std::string& name, const json::View& each) {
      spec.net_devices[name] = each.string_or("name", "");
    });
  }
  spec.cgroups_path = view.string_or("cgroupsPath", "");
  if (const auto resources = view.find("resources")) {
    spec.limits = limits(*resources);
  }
  if (const auto map = view.find("sysctl")) {
    spec.sysctl = map->string_map();
  }
  optionally(view, "seccomp", spec.seccomp, seccomp);
  if (const auto word = view.find("rootfsPropagation"); word && !word->string().empty()) {
    spec.root_propagation = propagation(*word);
  }
  spec.masked_paths = view.strings_or_none("maskedPaths");
  spec.read_only_paths = view.strings_or_none("readonlyPaths");
  spec.mount_label = view.string_or("mountLabel", "");
  if (const auto part = view.find("personality")) {
    const std::string domain = part->at("domain").string();
    if (domain != "LINUX" && domain != "LINUX32") {
      part->at("domain").refuse("must be LINUX or LINUX32");
    }
    if (const auto flags = part->find("flags"); flags && flags->size() > 0) {
      flags->refuse("must be empty: the specification defines no flags");
    }
    spec.personality = domain == "LINUX32" ? 8UL : 0UL;
  }
  if (const auto part = view.find("memoryPolicy")) {
    spec.memory_policy = MemoryPolicy{part->at("mode").string(), part->string_or("nodes", ""), part->strings_or_none("flags")};
  }
  if (const auto part = view.find("intelRdt")) {
    spec.intel_rdt = "asked for";
  }
}

security::Seccomp seccomp(const json::View& view) {
  security::Seccomp result;
  result.default_action = view.at("defaultAction").string();
  const auto error_number = [](const json::View& v) { return static_cast<uint32_t>(v.unsigned_integer(4095)); };
  optionally(view, "defaultErrnoRet", result.default_error_number, error_number);
  result.architectures = view.strings_or_none("architectures");
  result.flags = view.strings_or_none("flags");
  result.listener_path = view.string_or("listenerPath", "");
  result.listener_metadata = view.string_or("listenerMetadata", "");
  if (const auto list = view.find("syscalls")) {
    list->each([&](const json::View& each) {
      security::SeccompRule rule{.names = each.at("names").strings(), .action = each.at("action").string()};
      optionally(each, "errnoRet", rule.error_number, error_number);
      if (rule.names.empty()) {
        each.at("names").refuse("must not be empty");
      }
      if (const auto arguments = each.find("args")) {
        arguments->each([&](const json::View& argument) {
          rule.arguments.push_back({.index = static_cast<uint32_t>(argument.at("index").unsigned_integer(5)),
                                    .value = argument.at("value").unsigned_integer(),
                                    .second_value = number_or<uint64_t>(argument, "valueTwo", 0),
                                    .comparison = argument.at("op").string()});
        });
      }
      result.rules.push_back(std::move(rule));
    });
  }
  return result;
}

}  // namespace jigsaw::runtime::parse
