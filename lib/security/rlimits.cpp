#include "security/rlimits.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/explain.h"
#include "base/log.h"
#include "base/text.h"

namespace jigsaw::security {
namespace {

constexpr std::array<std::pair<std::string_view, int>, 16> kLimitNames = {{
    {"AS", RLIMIT_AS}, {"CORE", RLIMIT_CORE}, {"CPU", RLIMIT_CPU}, {"DATA", RLIMIT_DATA}, {"FSIZE", RLIMIT_FSIZE},
    {"LOCKS", RLIMIT_LOCKS}, {"MEMLOCK", RLIMIT_MEMLOCK}, {"MSGQUEUE", RLIMIT_MSGQUEUE}, {"NICE", RLIMIT_NICE},
    {"NOFILE", RLIMIT_NOFILE}, {"NPROC", RLIMIT_NPROC}, {"RSS", RLIMIT_RSS}, {"RTPRIO", RLIMIT_RTPRIO},
    {"RTTIME", RLIMIT_RTTIME}, {"SIGPENDING", RLIMIT_SIGPENDING}, {"STACK", RLIMIT_STACK},
}};

int set_one(pid_t pid, int resource, const rlimit64& value) {
  const int rc = ::prlimit64(pid, static_cast<__rlimit_resource>(resource), &value, nullptr);
  explain::tell(rc, "how much of this one process may use", [&] {
    return explain::Call{"prlimit64", fmt::format("{}, {}, {{{}, {}}}", pid, rlimit_name(resource), value.rlim_cur,
                                                  value.rlim_max), ""};
  });
  return rc;
}

}  // namespace

std::optional<int> rlimit_resource(std::string_view name) {
  const std::string word = text::upper(name);
  const std::string_view bare = word.starts_with("RLIMIT_") ? std::string_view(word).substr(7) : word;
  for (const auto& [known, number] : kLimitNames) {
    if (known == bare) {
      return number;
    }
  }
  return std::nullopt;
}

std::string rlimit_name(int resource) {
  for (const auto& [known, number] : kLimitNames) {
    if (number == resource) {
      return fmt::format("RLIMIT_{}", known);
    }
  }
  return fmt::format("RLIMIT_{}", resource);
}

Rlimit parse_ulimit(std::string_view text) {
  const size_t equals = text.find('=');
  const auto resource = rlimit_resource(text.substr(0, equals));
  if (equals == std::string_view::npos || !resource) {
    throw Error(fmt::format("unknown limit {}", text::quoted(text)), "write it as NAME=SOFT[:HARD], for example nofile=1024:2048");
  }
  const auto number = [&](std::string_view word) {
    return word == "-1" || word == "unlimited" ? UINT64_MAX : text::parse_u64(word, "a limit");
  };
  const auto values = text::split(text.substr(equals + 1), ':');
  if (values.size() > 2) {
    throw fail("limit {} has more than two values", text::quoted(text));
  }
  const Rlimit limit{*resource, number(values.front()), number(values.back())};
  if (limit.soft > limit.hard) {
    throw fail("limit {}: the soft one is above the hard one", text::quoted(text));
  }
  return limit;
}

void set_rlimits(pid_t pid, const std::vector<Rlimit>& limits) {
  for (const Rlimit& limit : limits) {
    if (set_one(pid, limit.resource, {limit.soft, limit.hard}) == 0) {
      continue;
    }
    const int problem = errno;
    rlimit64 now{};
    ::prlimit64(pid, static_cast<__rlimit_resource>(limit.resource), nullptr, &now);
    if (problem != EPERM || limit.hard <= now.rlim_max) {
      throw system_error(problem, fmt::format("set {} to {}:{}", rlimit_name(limit.resource), limit.soft, limit.hard));
    }
    log::warning("{} can't be raised to {} here (CAP_SYS_RESOURCE is missing): it stays at {}",
                 rlimit_name(limit.resource), limit.hard, now.rlim_max);
    check(set_one(pid, limit.resource, {std::min<uint64_t>(limit.soft, now.rlim_max), now.rlim_max}), "set {}",
          rlimit_name(limit.resource));
  }
}

}  // namespace jigsaw::security
