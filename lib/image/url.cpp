#include <algorithm>
#include <array>

#include "base/text.h"
#include "image/http.h"

namespace jigsaw::image {
namespace {

// What a registry's queries hold that is no secret.
constexpr std::array<std::string_view, 9> kHarmless = {"scope", "service", "account", "digest", "mount",
                                                       "from",  "n",       "last",    "client_id"};

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

bool has_control_bytes(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) {
      return true;
    }
  }
  return false;
}

// The bytes up to the path: "https://host:5000".
std::string_view url_front(std::string_view url) {
  const size_t scheme = url.find("://");
  return scheme == std::string_view::npos ? std::string_view{} : url.substr(0, url.find_first_of("/?#", scheme + 3));
}

}  // namespace

std::optional<std::string> url_origin(std::string_view url) {
  if (has_control_bytes(url)) {
    return std::nullopt;
  }
  std::string front = text::lower(url_front(url));
  const bool secure = front.starts_with("https://");
  if ((!secure && !front.starts_with("http://")) || front.find_first_of("@\\%") != std::string::npos) {
    return std::nullopt;
  }
  const std::string_view host = std::string_view(front).substr(secure ? 8 : 7);
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (host.empty() || colon == 0) {
    return std::nullopt;
  }
  if (colon == std::string_view::npos) {
    front += secure ? ":443" : ":80";
  } else if (!text::to_u64(host.substr(colon + 1))) {
    return std::nullopt;
  }
  return front;
}

std::string resolve_url(std::string_view base, std::string_view location) {
  if (has_control_bytes(location) || location.empty()) {
    return {};
  }
  const size_t scheme = location.find("://");
  if (scheme != std::string_view::npos && scheme < location.find_first_of("/?#")) {
    return url_origin(location) ? std::string(location) : std::string{};
  }
  const std::string_view front = url_front(base);
  if (location.starts_with("//")) {
    const std::string absolute = std::string(base.substr(0, base.find("://") + 1)) + std::string(location);
    return url_origin(absolute) ? absolute : std::string{};
  }
  if (location.front() == '/') {
    return std::string(front) + std::string(location);
  }
  std::string_view path = base.substr(front.size());
  path = path.substr(0, path.find_first_of("?#"));
  if (location.front() == '?') {
    return std::string(front) + std::string(path) + std::string(location);
  }
  return std::string(front) + std::string(path.substr(0, path.rfind('/') + 1)) + std::string(location);
}

std::string url_encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  return encoded;
}

std::string blotted_url(std::string_view url) {
  const size_t question = url.find('?');
  if (question == std::string_view::npos) {
    return text::printable_line(url);
  }
  std::string shown(url.substr(0, question + 1));
  bool first = true;
  for (const std::string_view pair : text::split(url.substr(question + 1), '&')) {
    const std::string_view key = pair.substr(0, pair.find('='));
    const bool harmless = std::find(kHarmless.begin(), kHarmless.end(), key) != kHarmless.end();
    shown += first ? "" : "&";
    shown += harmless || key.size() == pair.size() ? std::string(pair) : std::string(key) + "=***";
    first = false;
  }
  return text::printable_line(shown);
}

}  // namespace jigsaw::image
