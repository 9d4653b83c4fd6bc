// Digests: the names that content has in an OCI image ("sha256:<64 hex digits>").
//
// A digest comes from strangers and becomes a file name, so it is parsed strictly: a known algorithm, the right
// number of lower-case hex digits, nothing else. Hashing is OpenSSL's, which uses the processor's SHA instructions.
// Source: OCI image spec, descriptor.md, "Digests".
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace jigsaw::image {

enum class Algorithm { kSha256, kSha512 };

class Digest {
 public:
  // "sha256:…" or "sha512:…". parse() throws and names `what` it was given for.
  static Digest parse(std::string_view text, std::string_view what = "digest");
  static std::optional<Digest> try_parse(std::string_view text);
  // Well formed, but of an algorithm that we can't compute: what it names can't be verified, so it can't be used.
  static bool is_foreign(std::string_view text);
  static Digest from_bytes(Algorithm algorithm, std::span<const unsigned char> bytes);

  Algorithm algorithm() const { return algorithm_; }
  std::string_view algorithm_name() const;            // "sha256"
  const std::string& hex() const { return hex_; }
  std::string text() const;                           // "sha256:<hex>"
  std::string short_id() const { return hex_.substr(0, 12); }

  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  Digest(Algorithm algorithm, std::string hex) : algorithm_(algorithm), hex_(std::move(hex)) {}
  Algorithm algorithm_;
  std::string hex_;
};

// Hashes a stream piece by piece.
class Hasher {
 public:
  explicit Hasher(Algorithm algorithm = Algorithm::kSha256);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void update(std::string_view bytes);
  // The digest of all that was given; the hasher then starts anew.
  Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Digest digest_of(std::string_view bytes, Algorithm algorithm = Algorithm::kSha256);

}  // namespace jigsaw::image
