#include "image/authorizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/hosts.h"

namespace jigsaw::image {
namespace {

constexpr size_t kTokenReplyLimit = 256U << 10;
constexpr uint64_t kDefaultLifetime = 60;  // seconds, by the specification
constexpr uint64_t kMaxLifetime = 3600;
constexpr std::chrono::seconds kMargin{5};

std::string parameter(const Challenge& challenge, const std::string& name) {
  const auto found = challenge.parameters.find(name);
  return found == challenge.parameters.end() ? "" : found->second;
}

}  // namespace

Authorizer::Authorizer(HttpClient& http, std::string registry, std::optional<Credentials> credentials)
    : http_(http), registry_(std::move(registry)), credentials_(std::move(credentials)) {}

std::string Authorizer::basic() const {
  return "Basic " + base64_encode(credentials_->user + ":" + credentials_->password);
}

std::string Authorizer::header(const std::string& scope) {
  const std::lock_guard guard(mutex_);
  if (!challenge_) {
    return {};
  }
  if (challenge_->scheme == "basic") {
    return basic();
  }
  auto found = tokens_.find(scope);
  if (found == tokens_.end() || found->second.expires < std::chrono::steady_clock::now()) {
    found = tokens_.insert_or_assign(scope, fetch_token(*challenge_, scope)).first;
  }
  return "Bearer " + found->second.text;
}

bool Authorizer::take_up(const HttpResponse& refusal, const std::string& scope, const std::string& sent) {
  std::vector<Challenge> challenges;
  for (const HttpHeader& header : refusal.headers) {
    if (header.name == "www-authenticate") {
      const auto more = parse_challenges(header.value);
      challenges.insert(challenges.end(), more.begin(), more.end());
    }
  }
  const auto pick = [&](std::string_view scheme) {
    return std::find_if(challenges.begin(), challenges.end(), [&](const Challenge& c) { return c.scheme == scheme; });
  };
  auto chosen = pick("bearer");
  if (chosen == challenges.end() && credentials_ && !credentials_->user.empty()) {
    chosen = pick("basic");
  }
  if (chosen == challenges.end()) {
    return false;
  }
  const std::lock_guard guard(mutex_);
  const auto token = tokens_.find(scope);
  if (challenge_ && token != tokens_.end() && sent != "Bearer " + token->second.text) {
    return true;  // another thread has renewed it meanwhile
  }
  if (chosen->scheme == "bearer") {
    check_realm(parameter(*chosen, "realm"), refusal.url);
  }
  challenge_ = *chosen;
  challenged_by_ = refusal.url;
  tokens_.erase(scope);
  return true;
}

// A password must not be talked out of us to a place where anybody can listen.
void Authorizer::check_realm(const std::string& realm, const std::string& asked_by) const {
  const auto origin = url_origin(realm);
  if (!origin) {
    throw fail("{} asks for a token from {}, which is no http or https URL", registry_, text::quoted(realm));
  }
  if (origin->starts_with("http:") && asked_by.starts_with("https:") && !is_loopback(origin->substr(7))) {
    throw fail("{} asks for a token over plain http ({}), which would show the password to everybody", registry_,
               blotted_url(realm));
  }
}

Authorizer::Token Authorizer::fetch_token(const Challenge& challenge, const std::string& scope) {
  const std::string realm = parameter(challenge, "realm");
  const std::string service = parameter(challenge, "service");
  std::string query = "service=" + url_encode(service);
  for (const std::string_view part : text::words(scope)) {
    query += "&scope=" + url_encode(part);
  }
  HttpRequest request{.body_limit = kTokenReplyLimit, .why = "the registry asks for a token of its token server"};
  if (credentials_ && !credentials_->identity_token.empty()) {
    request.method = "POST";
    request.url = realm;
    request.headers = {"Content-Type: application/x-www-form-urlencoded"};
    request.body = fmt::format("grant_type=refresh_token&client_id=jigsaw&refresh_token={}&{}",
                               url_encode(credentials_->identity_token), query);
  } else {
    request.url = realm + (realm.find('?') == std::string::npos ? "?" : "&") + query;
    if (credentials_) {
      request.url += "&account=" + url_encode(credentials_->user);
      request.authorization = basic();
    }
  }
  const HttpResponse response = http_.send(request);
  if (!response.ok()) {
    const bool denied = response.status == 401 || response.status == 403;
    throw Error(fmt::format("the token server of {} refuses: {}", registry_,
                            response.trouble != Trouble::kNone ? response.problem : fmt::format("status {}", response.status)),
                denied ? fmt::format("log in with 'jigsaw login {}', or check the name of the image", registry_) : "");
  }
  const json::Document document(response.body, "answer of the token server of " + registry_);
  Token token;
  token.text = document.root().string_or("token", document.root().string_or("access_token", ""));
  if (token.text.empty() || token.text.find_first_of("\r\n \t") != std::string::npos) {
    throw fail("the token server of {} sent no token", registry_);
  }
  const auto lifetime = document.root().find("expires_in");
  const uint64_t seconds = lifetime ? std::min(lifetime->unsigned_integer(), kMaxLifetime) : kDefaultLifetime;
  token.expires = std::chrono::steady_clock::now() + std::chrono::seconds(seconds) - kMargin;
  return token;
}

}  // namespace jigsaw::image
