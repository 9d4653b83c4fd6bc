#include "image/reference.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::image {
namespace {

constexpr size_t kMaxRepository = 255;
constexpr size_t kMaxTag = 128;
constexpr size_t kMinDigestHex = 32;
constexpr std::string_view kOfficial = "library/";
constexpr std::string_view kLegacyRegistry = "index.docker.io";

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }
bool is_alphanumeric(char c) { return is_letter(c) || is_digit(c); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_lower_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

template <class Predicate>
bool all(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

// Letters and digits, with hyphens inside.
bool is_host_label(std::string_view label) {
  return !label.empty() && label.front() != '-' && label.back() != '-' &&
         all(label, [](char c) { return is_alphanumeric(c) || c == '-'; });
}

// A host name or an IPv6 address in brackets, perhaps with a port.
bool is_registry(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos || end == 1 ||
        !all(text.substr(1, end - 1), [](char c) { return is_hex(c) || c == ':'; })) {
      return false;
    }
    const std::string_view port = text.substr(end + 1);
    return port.empty() || (port.size() > 1 && port.front() == ':' && all(port.substr(1), is_digit));
  }
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const std::string_view port = text.substr(colon + 1);
    if (port.empty() || !all(port, is_digit)) {
      return false;
    }
    text = text.substr(0, colon);
  }
  const auto labels = text::split(text, '.');
  return std::all_of(labels.begin(), labels.end(), is_host_label);
}

// Runs of [a-z0-9] with one of . _ __ or any number of - between them.
bool is_path_component(std::string_view text) {
  if (text.empty() || !is_lower_or_digit(text.front()) || !is_lower_or_digit(text.back())) {
    return false;
  }
  for (size_t i = 0; i < text.size();) {
    if (is_lower_or_digit(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && !is_lower_or_digit(text[end])) {
      ++end;
    }
    const std::string_view separator = text.substr(i, end - i);
    const bool hyphens = all(separator, [](char c) { return c == '-'; });
    if (!hyphens && separator != "." && separator != "_" && separator != "__") {
      return false;
    }
    i = end;
  }
  return true;
}

bool is_path(std::string_view text) {
  const auto components = text::split(text, '/');
  return std::all_of(components.begin(), components.end(), is_path_component);
}

// algorithm(separator algorithm)*:hex, at least 32 digits.
bool looks_like_digest(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.size() - colon - 1 < kMinDigestHex ||
      !all(text.substr(colon + 1), is_hex)) {
    return false;
  }
  bool start = true;
  for (const char c : text.substr(0, colon)) {
    const bool separator = c == '-' || c == '_' || c == '+' || c == '.';
    if (start ? !is_letter(c) : !(is_alphanumeric(c) || separator)) {
      return false;
    }
    start = separator;
  }
  return !start;
}

Error invalid(std::string_view text, std::string_view reason, std::string hint = {}) {
  if (hint.empty()) {
    hint = "a reference looks like [REGISTRY/][USER/]NAME[:TAG][@DIGEST], for example localhost:5000/team/app:1.2";
  }
  return Error(fmt::format("{} is no image reference: {}", text::quoted(text), reason), std::move(hint));
}

void check_digest(std::string_view text, std::string_view digest) {
  if (!looks_like_digest(digest)) {
    throw invalid(text, "what follows @ is no digest");
  }
  const std::string_view algorithm = digest.substr(0, digest.find(':'));
  const std::string_view hex = digest.substr(algorithm.size() + 1);
  const size_t length = algorithm == "sha256" ? 64 : algorithm == "sha512" ? 128 : 0;
  if (length == 0) {
    throw invalid(text, fmt::format("unknown digest algorithm {}", algorithm), "use sha256 or sha512");
  }
  if (hex.size() != length) {
    throw invalid(text, fmt::format("a {} digest has {} hex digits, not {}", algorithm, length, hex.size()));
  }
  if (!all(hex, is_lower_hex)) {
    throw invalid(text, "a digest is written in lower case");
  }
}

// "registry" and "rest" of the text, with what was left out filled in.
std::pair<std::string_view, std::string> split_registry(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return {kDefaultRegistry, fmt::format("{}{}", kOfficial, text)};
  }
  std::string_view registry = text.substr(0, slash);
  std::string rest(text.substr(slash + 1));
  if (registry == kLegacyRegistry) {
    registry = kDefaultRegistry;
  } else if (registry != "localhost" && registry.find_first_of(".:") == std::string_view::npos &&
             std::none_of(registry.begin(), registry.end(), is_upper)) {
    registry = kDefaultRegistry;
    rest = text;
  }
  if (registry == kDefaultRegistry && rest.find('/') == std::string::npos) {
    rest.insert(0, kOfficial);
  }
  return {registry, rest};
}

}  // namespace

std::string Reference::name() const { return fmt::format("{}/{}", registry, repository); }

std::string Reference::text() const {
  return fmt::format("{}{}{}{}{}", name(), tag.empty() ? "" : ":", tag, digest.empty() ? "" : "@", digest);
}

bool is_tag(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTag && (is_alphanumeric(text.front()) || text.front() == '_') &&
         all(text, [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

Reference parse_reference(std::string_view text) {
  if (text.empty()) {
    throw invalid(text, "it is empty");
  }
  if (text.size() == 64 && all(text, is_lower_hex)) {
    throw invalid(text, "64 hex digits are an image's identifier, not its name");
  }
  auto [registry, rest] = split_registry(text);
  Reference reference{.registry = std::string(registry), .repository = {}, .tag = {}, .digest = {}};
  std::string_view left = rest;
  const size_t at = left.find('@');
  if (at != std::string_view::npos) {
    reference.digest = left.substr(at + 1);
    left = left.substr(0, at);
  }
  const size_t colon = left.find(':');
  if (colon != std::string_view::npos) {
    reference.tag = left.substr(colon + 1);
    if (!is_tag(reference.tag)) {
      throw invalid(text, "a tag is up to 128 letters, digits, _, . and -, and starts with none of the last two");
    }
    left = left.substr(0, colon);
  }
  reference.repository = left;
  if (std::any_of(left.begin(), left.end(), is_upper)) {
    throw invalid(text, fmt::format("the repository name {} must be lowercase", left),
                  is_path(text::lower(left)) ? fmt::format("write {}", text::lower(left)) : "");
  }
  if (!is_registry(reference.registry)) {
    throw invalid(text, fmt::format("{} is no registry", text::quoted(reference.registry)));
  }
  if (!is_path(left)) {
    throw invalid(text, "each part of a name is lower-case letters and digits, with one of . _ __ or - in between");
  }
  if (at != std::string_view::npos) {
    check_digest(text, reference.digest);
  }
  if (left.size() > kMaxRepository) {
    throw invalid(text, fmt::format("a repository name has at most {} characters", kMaxRepository));
  }
  return reference;
}

Reference with_default_tag(Reference reference) {
  if (reference.tag.empty() && reference.digest.empty()) {
    reference.tag = kDefaultTag;
  }
  return reference;
}

Reference pinned(Reference reference) {
  if (!reference.digest.empty()) {
    reference.tag.clear();
  }
  return with_default_tag(std::move(reference));
}

std::string familiar(const Reference& reference) {
  std::string text = reference.text();
  if (reference.registry == kDefaultRegistry) {
    text.erase(0, kDefaultRegistry.size() + 1);
    const bool one_part = reference.repository.find('/', kOfficial.size()) == std::string::npos;
    if (text.starts_with(kOfficial) && one_part) {
      text.erase(0, kOfficial.size());
    }
  }
  return text;
}

std::optional<std::string> as_identifier(std::string_view text) {
  if (text.size() == 64 && all(text, is_lower_hex)) {
    return fmt::format("sha256:{}", text);
  }
  const size_t colon = text.find(':');
  const std::string_view algorithm = text.substr(0, colon);
  const size_t length = algorithm == "sha256" ? 64 : algorithm == "sha512" ? 128 : 0;
  if (length > 0 && text.size() == algorithm.size() + 1 + length && all(text.substr(colon + 1), is_lower_hex)) {
    return std::string(text);
  }
  return std::nullopt;
}

}  // namespace jigsaw::image
