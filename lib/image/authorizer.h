// Authorizer: turns a registry's 401 into an Authorization header.
//
//     client                       registry                     token server
//       │ GET /v2/a/manifests/1 ─────▶│
//       │◀── 401 Bearer realm, service │
//       │ GET realm?service&scope  (Basic user:password) ─────────▶│
//       │◀──────────────────────────────────────── {"token": "…"} │
//       │ GET … Authorization: Bearer ▶│
//
// With a Basic challenge user and password go to the registry itself. Tokens are kept per scope until they expire.
// distribution/docs/spec/auth/token.md and oauth.md.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "image/challenge.h"
#include "image/credentials.h"
#include "image/http.h"

namespace jigsaw::image {

class Authorizer {
 public:
  Authorizer(HttpClient& http, std::string registry, std::optional<Credentials> credentials);

  // The header's value for a request in this scope ("repository:a/b:pull"; several are separated by a blank), or "" as
  // long as the registry has not asked. Thread-safe.
  std::string header(const std::string& scope);
  // Takes up a 401 answer; true if a request with a new header() is worth sending. Throws if the token server refuses.
  bool take_up(const HttpResponse& refusal, const std::string& scope, const std::string& sent);
  bool has_credentials() const { return credentials_.has_value(); }

 private:
  struct Token {
    std::string text;
    std::chrono::steady_clock::time_point expires;
  };
  std::string basic() const;
  Token fetch_token(const Challenge& challenge, const std::string& scope);
  void check_realm(const std::string& realm, const std::string& asked_by) const;

  HttpClient& http_;
  std::string registry_;
  std::optional<Credentials> credentials_;
  std::mutex mutex_;
  std::optional<Challenge> challenge_;
  std::string challenged_by_;  // URL
  std::map<std::string, Token> tokens_;
};

}  // namespace jigsaw::image
