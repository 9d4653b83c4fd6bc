#include "image/endpoint.h"

#include <algorithm>
#include <random>

#include "base/interruption.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "image/hosts.h"

namespace jigsaw::image {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestPause{30'000};

std::vector<std::string> possible_schemes(const std::string& host, const HttpOptions& http) {
  if (is_loopback(host)) {
    return http.certificates.empty() ? std::vector<std::string>{"http", "https"} : std::vector<std::string>{"https", "http"};
  }
  return http.verify == TlsVerify::kNo ? std::vector<std::string>{"https", "http"} : std::vector<std::string>{"https"};
}

// What a TLS server says, one way or the other, to somebody who came without TLS.
bool wants_tls(const HttpResponse& response) {
  return response.status == 0 ? response.trouble == Trouble::kCut
                              : response.status == 400 && response.body.find("HTTPS") != std::string::npos;
}

// The first message of a registry's error document: {"errors": [{"code": …, "message": …}]}.
std::string message_of(const HttpResponse& response) {
  try {
    const json::Document document(response.body, "answer");
    const auto errors = document.root().find("errors");
    if (errors && errors->size() > 0) {
      const json::View first = (*errors)[0];
      const std::string message = first.string_or("message", "");
      return message.empty() ? text::lower(first.string_or("code", "")) : message;
    }
  } catch (const Error&) {  // no such document
  }
  return {};
}

}  // namespace

Endpoint::Endpoint(HttpClient& http, const std::string& registry, std::optional<Credentials> credentials,
                   const RegistryOptions& options)
    : http_(http), registry_(registry), host_(api_host(registry)), options_(options),
      authorizer_(http, registry, std::move(credentials)), schemes_(possible_schemes(host_, options.http)) {}

bool Endpoint::worth_retrying(const HttpResponse& response) {
  if (response.trouble == Trouble::kCut) {
    return true;
  }
  const long status = response.status;
  return response.trouble == Trouble::kNone && (status == 408 || status == 429 || (status >= 500 && status != 501));
}

void Endpoint::pause(const HttpResponse& response, unsigned attempt) const {
  milliseconds wait = options_.first_pause * (1U << std::min(attempt - 1, 10U));
  if (const auto asked = text::to_u64(response.header("retry-after"))) {
    wait = std::max(wait, milliseconds(1000 * std::min<uint64_t>(*asked, 3600)));
  }
  wait = std::min(wait, kLongestPause);
  thread_local std::minstd_rand random{std::random_device{}()};
  wait += wait * static_cast<int>(random() % 25) / 100;  // so that a classroom does not come back all at once
  log::debug("{}: {}; trying again in {} ms", registry_,
             response.problem.empty() ? fmt::format("status {}", response.status) : response.problem, wait.count());
  Interruption::sleep(wait);
}

HttpResponse Endpoint::send(HttpRequest request, const std::string& scope, Attempts attempts) {
  const unsigned last = attempts == Attempts::kOnce ? 1 : std::max(1U, options_.attempts);
  for (unsigned attempt = 1;; ++attempt) {
    HttpResponse response = send_authorized(request, scope);
    if (attempt >= last || !worth_retrying(response)) {
      return response;
    }
    pause(response, attempt);
  }
}

std::optional<std::string> Endpoint::origin() {
  const std::lock_guard guard(mutex_);
  return url_origin(schemes_.front() + "://" + host_);
}

HttpResponse Endpoint::send_authorized(HttpRequest& request, const std::string& scope) {
  const bool elsewhere = !request.url.starts_with('/') && url_origin(request.url) != origin();
  for (int round = 0;; ++round) {
    request.authorization = elsewhere ? std::string{} : authorizer_.header(scope);
    HttpResponse response = send_by_any_scheme(request);
    // A streamed body can't be sent twice: then the caller has asked something small before, and we are known.
    if (response.status != 401 || elsewhere || round == 2 || request.read_body ||
        !authorizer_.take_up(response, scope, request.authorization)) {
      return response;
    }
    if (round > 0 && request.authorization.starts_with("Basic")) {
      return response;
    }
  }
}

HttpResponse Endpoint::send_by_any_scheme(HttpRequest& request) {
  if (!request.url.starts_with('/')) {
    return http_.send(request);
  }
  std::vector<std::string> schemes;
  {
    const std::lock_guard guard(mutex_);
    schemes = schemes_;
  }
  const std::string path = request.url;
  HttpResponse first;
  for (const std::string& scheme : schemes) {
    request.url = fmt::format("{}://{}{}", scheme, host_, path);
    HttpResponse response = http_.send(request);
    request.url = path;
    const bool wrong_scheme = scheme == "http" ? wants_tls(response) : response.trouble == Trouble::kTls;
    if (!wrong_scheme || schemes.size() == 1) {
      if (response.trouble == Trouble::kNone && schemes.size() > 1) {
        const std::lock_guard guard(mutex_);
        schemes_ = {scheme};
      }
      return response;
    }
    const bool certificate = response.problem.find("certificate") != std::string::npos;
    if (first.url.empty() || certificate) {
      first = std::move(response);
    }
  }
  return first;
}

Error Endpoint::refusal(const HttpResponse& response, const std::string& what) const {
  if (response.trouble != Trouble::kNone) {
    std::string hint;
    if (response.trouble == Trouble::kUnreachable) {
      hint = "check the name of the registry, whether it is running, and http_proxy and https_proxy";
    } else if (response.trouble == Trouble::kTls) {
      hint = "give the registry's certificate with --cert-dir DIR, or, if you trust the network, --tls-verify=false";
    }
    return Error(fmt::format("{}: {}: {}", what, registry_, response.problem), std::move(hint));
  }
  const std::string said = message_of(response);
  const std::string reason = fmt::format("{}{}{}", response.status, said.empty() ? "" : ", ", text::printable_line(said));
  switch (response.status) {
    case 401:
    case 403:
      return Error(fmt::format("{}: {} does not let us in ({})", what, registry_, reason),
                   authorizer_.has_credentials() ? "check the password, and whether this user may do that"
                                                 : fmt::format("log in with 'jigsaw login {}'", registry_));
    case 404:
      return Error(fmt::format("{}: {} does not have it ({})", what, registry_, reason),
                   "check the name and the tag; private images need 'jigsaw login' first");
    case 429:
      return Error(fmt::format("{}: {} asks for fewer requests ({})", what, registry_, reason),
                   "wait a while, log in, or use a mirror with --mirror");
    default: return Error(fmt::format("{}: {} answers with status {}", what, registry_, reason));
  }
}

}  // namespace jigsaw::image
