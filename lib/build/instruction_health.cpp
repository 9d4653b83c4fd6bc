// HEALTHCHECK, and the ports of EXPOSE.
#include <arpa/inet.h>

#include <algorithm>

#include "base/text.h"
#include "build/instruction_parts.h"
#include "build/words.h"

namespace jigsaw::build {
namespace {

std::chrono::nanoseconds interval(const FlagValues& flags, const std::string& name) {
  const std::string value = flags.text(name);
  if (value.empty()) {
    return {};
  }
  std::chrono::nanoseconds duration{};
  try {
    duration = text::parse_duration(value, "--" + name);
  } catch (const Error& error) {
    throw flags.place(name).error(fmt::format("{} duration {}: {}", std::isdigit(static_cast<unsigned char>(value.back())) != 0 ? "missing unit in" : "invalid", text::quoted(value), error.message()), error.hint());
  }
  if (duration.count() != 0 && duration < std::chrono::milliseconds(1)) {
    throw flags.place(name).error(fmt::format("--{} cannot be less than 1ms", name), "write it as 30s or 1m");
  }
  return duration;
}

int64_t retries(const FlagValues& flags) {
  const std::string value = flags.text("retries");
  const std::optional<int64_t> number = text::to_i64(value);
  if (value.empty()) {
    return 0;
  }
  if (!number || *number < 0 || *number > INT32_MAX) {
    throw flags.place("retries").error(number && *number < 0
                                           ? fmt::format("--retries cannot be negative: {}", value)
                                           : fmt::format("--retries: invalid syntax: {} is no whole number", text::quoted(value)));
  }
  return *number;
}

std::optional<int> port_number(std::string_view text) {
  const std::optional<uint64_t> number = text::to_u64(text);
  return number && *number <= 65535 ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

struct Range {
  int first = 0;
  int last = 0;
};

Range port_range(std::string_view text, std::string_view whole) {
  const size_t dash = text.find('-');
  const std::optional<int> first = port_number(text.substr(0, dash));
  const std::optional<int> last = dash == std::string_view::npos ? first : port_number(text.substr(dash + 1));
  if (!first || !last || *last < *first) {
    throw Error(fmt::format("invalid port: {}: invalid containerPort: {}", text::quoted(whole), text),
                "a port is a number from 0 to 65535, with /tcp, /udp or /sctp behind it if need be: 8080, 53/udp, "
                "7000-7005");
  }
  return {*first, *last};
}

bool is_ip_address(std::string text) {
  if (text.starts_with('[') && text.ends_with(']')) {
    text = text.substr(1, text.size() - 2);
  }
  in6_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 || ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

// What stands before HOST:CONTAINER in "IP:HOST:CONTAINER"; an IP may have colons itself.
void check_host_address(const std::string& address, std::string_view whole) {
  if (!address.empty() && !is_ip_address(address)) {
    throw Error(fmt::format("invalid port: {}: invalid IP address {}", text::quoted(whole), text::quoted(address)),
                "EXPOSE names ports of the container only: leave the part before ':' out");
  }
}

}  // namespace

Healthcheck parse_healthcheck(const Statement& statement) {
  const FlagValues flags(statement, {{"interval", FlagKind::kText},
                                     {"timeout", FlagKind::kText},
                                     {"start-period", FlagKind::kText},
                                     {"start-interval", FlagKind::kText},
                                     {"retries", FlagKind::kText}});
  const std::string_view arguments = statement.arguments;
  const std::string_view type = arguments.substr(0, arguments.find_first_of(" \t\v\f\r"));
  const std::string_view rest = trim_blanks(arguments.substr(type.size()));
  const std::string kind = text::upper(type);
  if (kind.empty()) {
    throw statement.keyword_place().error("HEALTHCHECK requires at least one argument",
                                          "write HEALTHCHECK CMD and the command, or HEALTHCHECK NONE");
  }
  Healthcheck health;
  if (kind == "NONE") {
    if (!rest.empty()) {
      throw statement.arguments_place().error("HEALTHCHECK NONE takes no arguments",
                                              "NONE switches off the check of the base image");
    }
    health.test = {"NONE"};
    return health;
  }
  if (kind != "CMD") {
    const std::vector<std::string> known = {"CMD", "NONE"};
    throw statement.arguments_place().error(
        fmt::format("unknown type {} in HEALTHCHECK{}", text::quoted(kind), text::did_you_mean(kind, known)),
        "write HEALTHCHECK CMD and the command, or HEALTHCHECK NONE");
  }
  if (auto words = json_arguments(statement, rest)) {
    health.test = std::move(*words);
    health.test.insert(health.test.begin(), "CMD");
  } else {
    health.test = {"CMD-SHELL", std::string(rest)};
  }
  if (rest.empty() || health.test.size() < 2) {
    throw statement.arguments_place().error("missing command after HEALTHCHECK CMD",
                                            "for example HEALTHCHECK CMD curl -f http://localhost/");
  }
  health.interval = interval(flags, "interval");
  health.timeout = interval(flags, "timeout");
  health.start_period = interval(flags, "start-period");
  health.start_interval = interval(flags, "start-interval");
  health.retries = retries(flags);
  return health;
}

Ports parse_ports(std::string_view text) {
  Ports result;
  const std::vector<std::string_view> parts = text::split(text, ':');
  const std::string_view container = parts.back();
  const size_t slash = container.find('/');
  const std::string_view protocol = slash == std::string_view::npos ? "" : container.substr(slash + 1);
  const std::string lower = protocol.empty() ? "tcp" : text::lower(protocol);
  if (lower != "tcp" && lower != "udp" && lower != "sctp") {
    throw Error(fmt::format("invalid port: {}: invalid proto: {}", text::quoted(text), protocol),
                "it is tcp, udp or sctp");
  }
  result.upper_protocol = !protocol.empty() && protocol != lower;
  const Range range = port_range(container.substr(0, slash), text);
  if (parts.size() > 1) {
    result.mapping = true;
    const std::string_view host = parts[parts.size() - 2];
    if (parts.size() > 2) {
      check_host_address(std::string(text.substr(0, text.size() - container.size() - host.size() - 2)), text);
    }
    if (!host.empty()) {
      const Range other = port_range(host, text);
      if (range.first != range.last && other.last - other.first != range.last - range.first) {
        throw Error(fmt::format("invalid port: {}: the two ranges have different lengths", text::quoted(text)),
                    "EXPOSE names ports of the container only: leave the part before ':' out");
      }
    }
  }
  for (int port = range.first; port <= range.last; ++port) {
    result.ports.push_back(fmt::format("{}/{}", port, lower));
  }
  return result;
}

}  // namespace jigsaw::build
