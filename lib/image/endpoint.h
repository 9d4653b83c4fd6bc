// Endpoint: one host that speaks the registry protocol: its scheme, who we are there, and when to try again.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "base/error.h"
#include "image/authorizer.h"
#include "image/http.h"
#include "image/registry.h"

namespace jigsaw::image {

class Endpoint {
 public:
  Endpoint(HttpClient& http, const std::string& registry, std::optional<Credentials> credentials,
           const RegistryOptions& options);

  const std::string& registry() const { return registry_; }
  // request.url is a path ("/v2/…") or, within an upload, what a Location header said. With kOnce the caller tries again
  // itself; 401 and the choice between https and http are dealt with in any case.
  enum class Attempts { kOnce, kAll };
  HttpResponse send(HttpRequest request, const std::string& scope, Attempts attempts = Attempts::kAll);

  // Whether the answer is one that another attempt may mend, and the pause before attempt number `attempt` (from 1).
  static bool worth_retrying(const HttpResponse& response);
  void pause(const HttpResponse& response, unsigned attempt) const;

  // The answer as an Error: "<what>: <reason>" with a hint.
  Error refusal(const HttpResponse& response, const std::string& what) const;

 private:
  HttpResponse send_authorized(HttpRequest& request, const std::string& scope);
  HttpResponse send_by_any_scheme(HttpRequest& request);
  std::optional<std::string> origin();

  HttpClient& http_;
  std::string registry_;
  std::string host_;
  RegistryOptions options_;
  Authorizer authorizer_;
  std::mutex mutex_;
  std::vector<std::string> schemes_;  // those still possible; one once the host has answered
};

}  // namespace jigsaw::image
