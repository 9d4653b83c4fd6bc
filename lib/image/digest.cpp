#include "image/digest.h"

// The plain functions of libcrypto, marked as old by OpenSSL 3: its new interface loads a configuration file and builds
// tables of providers first, which takes longer than hashing the manifest that `run` has to check.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <algorithm>
#include <variant>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::image {
namespace {

struct Known {
  Algorithm algorithm;
  std::string_view name;
  size_t digits;
};
constexpr Known kKnown[] = {{Algorithm::kSha256, "sha256", 64}, {Algorithm::kSha512, "sha512", 128}};

const Known& known(Algorithm algorithm) { return kKnown[algorithm == Algorithm::kSha256 ? 0 : 1]; }

bool is_hex_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

std::optional<Digest> Digest::try_parse(std::string_view text) {
  for (const Known& candidate : kKnown) {
    if (text.size() == candidate.name.size() + 1 + candidate.digits && text.starts_with(candidate.name) &&
        text[candidate.name.size()] == ':') {
      const std::string_view hex = text.substr(candidate.name.size() + 1);
      if (std::all_of(hex.begin(), hex.end(), is_hex_digit)) {
        return Digest(candidate.algorithm, std::string(hex));
      }
    }
  }
  return std::nullopt;
}

bool Digest::is_foreign(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return false;
  }
  const std::string_view algorithm = text.substr(0, colon);
  const std::string_view encoded = text.substr(colon + 1);
  const auto is_separator = [](char c) { return c == '+' || c == '.' || c == '_' || c == '-'; };
  const auto is_lower = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  for (size_t i = 0; i < algorithm.size(); ++i) {
    const bool inside = i > 0 && i + 1 < algorithm.size() && is_lower(algorithm[i - 1]);
    if (!is_lower(algorithm[i]) && !(inside && is_separator(algorithm[i]))) {
      return false;
    }
  }
  const bool known_name = std::any_of(std::begin(kKnown), std::end(kKnown), [&](const Known& each) { return each.name == algorithm; });
  return !algorithm.empty() && !known_name && !encoded.empty() && std::all_of(encoded.begin(), encoded.end(), [&](char c) {
    return is_lower(c) || (c >= 'A' && c <= 'Z') || c == '=' || c == '_' || c == '-';
  });
}

Digest Digest::parse(std::string_view text, std::string_view what) {
  if (auto digest = try_parse(text)) {
    return *digest;
  }
  throw Error(fmt::format("{}: {} is no digest", what, text::quoted(text)),
              "a digest is sha256: and 64 hex digits in lower case, or sha512: and 128");
}

Digest Digest::from_bytes(Algorithm algorithm, std::span<const unsigned char> bytes) {
  return Digest(algorithm, text::hex(bytes));
}

std::string_view Digest::algorithm_name() const { return known(algorithm_).name; }

std::string Digest::text() const { return fmt::format("{}:{}", algorithm_name(), hex_); }

struct Hasher::Context {
  explicit Context(Algorithm chosen) : algorithm(chosen) { restart(); }

  void restart() {
    if (algorithm == Algorithm::kSha256) {
      SHA256_Init(&state.emplace<SHA256_CTX>());
    } else {
      SHA512_Init(&state.emplace<SHA512_CTX>());
    }
  }

  Algorithm algorithm;
  std::variant<SHA256_CTX, SHA512_CTX> state;
};

Hasher::Hasher(Algorithm algorithm) : context_(std::make_unique<Context>(algorithm)) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::string_view bytes) {
  if (auto* sha256 = std::get_if<SHA256_CTX>(&context_->state)) {
    SHA256_Update(sha256, bytes.data(), bytes.size());
  } else {
    SHA512_Update(&std::get<SHA512_CTX>(context_->state), bytes.data(), bytes.size());
  }
}

Digest Hasher::finish() {
  unsigned char result[SHA512_DIGEST_LENGTH];
  size_t size = SHA256_DIGEST_LENGTH;
  if (auto* sha256 = std::get_if<SHA256_CTX>(&context_->state)) {
    SHA256_Final(result, sha256);
  } else {
    SHA512_Final(result, &std::get<SHA512_CTX>(context_->state));
    size = SHA512_DIGEST_LENGTH;
  }
  context_->restart();
  return Digest::from_bytes(context_->algorithm, {result, size});
}

Digest digest_of(std::string_view bytes, Algorithm algorithm) {
  Hasher hasher(algorithm);
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace jigsaw::image
