#include "namespaces/sets.h"

#include <sched.h>

#include <array>
#include <vector>

#include "base/error.h"
#include "base/text.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace jigsaw::namespaces {
namespace {

constexpr std::array<Kind, 8> kKinds = {{
    {"user", CLONE_NEWUSER, "user", "user and group ids, and with them all rights"},
    {"cgroup", CLONE_NEWCGROUP, "cgroup", "the root of the cgroup tree that /proc/self/cgroup shows"},
    {"ipc", CLONE_NEWIPC, "ipc", "System V IPC and POSIX message queues"},
    {"uts", CLONE_NEWUTS, "uts", "host name and domain name"},
    {"net", CLONE_NEWNET, "network", "network devices, addresses, routes, ports and firewall rules"},
    {"pid", CLONE_NEWPID, "pid", "process ids: the first process is number 1"},
    {"time", CLONE_NEWTIME, "time", "the boot and monotonic clocks"},
    {"mnt", CLONE_NEWNS, "mount", "the mount table"},
}};

}  // namespace

std::span<const Kind> kinds() { return kKinds; }

const Kind* find(std::string_view name) {
  for (const Kind& kind : kKinds) {
    if (name == kind.name || name == kind.oci) {
      return &kind;
    }
  }
  return nullptr;
}

uint64_t parse(std::string_view list) {
  uint64_t set = 0;
  for (const std::string_view word : text::split(list, ',')) {
    const std::string_view name = text::trim(word);
    if (name == "all") {
      for (const Kind& kind : kKinds) {
        set |= kind.flag;
      }
    } else if (const Kind* kind = find(name)) {
      set |= kind->flag;
    } else if (name != "none" && !name.empty()) {
      std::vector<std::string> known = {"all", "none"};
      for (const Kind& each : kKinds) {
        known.emplace_back(each.name);
      }
      throw Error(fmt::format("unknown namespace {}{}", text::quoted(name), text::did_you_mean(name, known)),
                  fmt::format("known are: {}", text::join(known, ", ")));
    }
  }
  return set;
}

std::string names(uint64_t set) {
  std::string result;
  for (const Kind& kind : kKinds) {
    if ((set & kind.flag) != 0) {
      result += fmt::format("{}{}", result.empty() ? "" : ",", kind.name);
    }
  }
  return result;
}

}  // namespace jigsaw::namespaces
