// Registry hosts: where the registry of a reference answers, and whether it may be spoken to without TLS.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::image {

// Whether "host:port" is this machine: localhost, 127.x.y.z or [::1].
bool is_loopback(std::string_view host);
// Where the API of a registry is: docker.io answers on registry-1.docker.io, all others where their name says.
std::string api_host(const std::string& registry);
// The directory with certificates for a registry, as docker and podman lay them out
// (/etc/containers/certs.d/HOST, /etc/docker/certs.d/HOST, ~/.config/containers/certs.d/HOST), or "".
std::string certificates_for(const std::string& registry);
// The mirrors among `rules` for a registry: "HOST" stands for docker.io's, "REGISTRY=HOST" for any. Throws on others.
std::vector<std::string> mirrors_for(const std::string& registry, const std::vector<std::string>& rules);

}  // namespace jigsaw::image
