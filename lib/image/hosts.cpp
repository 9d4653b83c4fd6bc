#include "image/hosts.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "image/reference.h"

namespace jigsaw::image {

bool is_loopback(std::string_view host) {
  if (host.starts_with('[')) {
    return host.starts_with("[::1]");
  }
  host = host.substr(0, host.find(':'));
  if (host == "localhost" || host.ends_with(".localhost")) {
    return true;
  }
  const auto parts = text::split(host, '.');
  return parts.size() == 4 && parts[0] == "127" && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           const auto number = text::to_u64(part);
           return number && *number <= 255;
         });
}

std::string api_host(const std::string& registry) {
  return registry == kDefaultRegistry ? "registry-1.docker.io" : registry;
}

std::string certificates_for(const std::string& registry) {
  const char* home = ::getenv("HOME");
  std::vector<std::string> places;
  if (home != nullptr) {
    places.push_back(fmt::format("{}/.config/containers/certs.d/{}", home, registry));
  }
  places.push_back("/etc/containers/certs.d/" + registry);
  places.push_back("/etc/docker/certs.d/" + registry);
  const auto found = std::find_if(places.begin(), places.end(), files::is_directory);
  return found == places.end() ? "" : *found;
}

std::vector<std::string> mirrors_for(const std::string& registry, const std::vector<std::string>& rules) {
  std::vector<std::string> hosts;
  for (const std::string& rule : rules) {
    const size_t equals = rule.find('=');
    const std::string which = equals == std::string::npos ? std::string(kDefaultRegistry) : rule.substr(0, equals);
    const std::string host = equals == std::string::npos ? rule : rule.substr(equals + 1);
    if (host.empty() || host.find_first_of("/@ ?#") != std::string::npos) {
      throw Error(fmt::format("{} names no mirror", text::quoted(rule)),
                  "a mirror is HOST[:PORT] for docker.io, or REGISTRY=HOST[:PORT]");
    }
    if (which == registry) {
      hosts.push_back(host);
    }
  }
  return hosts;
}

}  // namespace jigsaw::image
