#include "image/digest.h"

#include <openssl/evp.h>

#include <algorithm>

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

const EVP_MD* method(Algorithm algorithm) {
  // Fetching a method takes a lock and a search in OpenSSL 3; these two live as long as the program.
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  static const EVP_MD* const sha512 = EVP_MD_fetch(nullptr, "SHA2-512", nullptr);
  return algorithm == Algorithm::kSha256 ? sha256 : sha512;
}

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
  explicit Context(Algorithm chosen) : algorithm(chosen), state(EVP_MD_CTX_new()) { restart(); }
  ~Context() { EVP_MD_CTX_free(state); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void restart() {
    if (state == nullptr || EVP_DigestInit_ex2(state, method(algorithm), nullptr) != 1) {
      throw fail("OpenSSL has no {}", known(algorithm).name);
    }
  }

  Algorithm algorithm;
  EVP_MD_CTX* state;
};

Hasher::Hasher(Algorithm algorithm) : context_(std::make_unique<Context>(algorithm)) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::string_view bytes) {
  if (EVP_DigestUpdate(context_->state, bytes.data(), bytes.size()) != 1) {
    throw fail("hash {} bytes", bytes.size());
  }
}

Digest Hasher::finish() {
  unsigned char result[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context_->state, result, &size) != 1) {
    throw fail("finish a {} digest", known(context_->algorithm).name);
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
