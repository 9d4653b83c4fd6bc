// Registry, reading: manifests and blobs.
#include "image/registry.h"

#include <algorithm>

#include "base/error.h"
#include "base/explain.h"
#include "base/text.h"
#include "image/endpoint.h"
#include "image/hosts.h"

namespace jigsaw::image {
namespace {

// What we can read. Schema 1 is asked for last, so that we can say that it is one.
std::string accepted_manifests() {
  return fmt::format("Accept: {}, {}, {}, {}, {};q=0.1", media::kIndex, media::kManifest, media::kDockerList,
                     media::kDockerManifest, media::kDockerSchema1Signed);
}

// "application/json; charset=utf-8" says no more than "": anything may be behind it.
std::string announced_type(const HttpResponse& response) {
  const std::string header = response.header("content-type");
  const std::string type(text::trim(std::string_view(header).substr(0, header.find(';'))));
  const bool generic = type == "application/json" || type == "text/plain" || type == "application/octet-stream" || type == "text/html";
  return generic ? std::string{} : type;
}

// The first byte of "bytes 100-199/200", if that is what it says.
std::optional<uint64_t> range_start(const HttpResponse& response) {
  std::string_view header;
  const std::string value = text::lower(response.header("content-range"));
  header = value;
  if (!header.starts_with("bytes ")) {
    return std::nullopt;
  }
  header.remove_prefix(6);
  return text::to_u64(header.substr(0, header.find('-')));
}

}  // namespace

Registry::Registry(const Reference& reference, Access access, const RegistryOptions& options)
    : reference_(reference), options_(options) {
  HttpOptions http = options.http;
  if (http.certificates.empty()) {
    http.certificates = certificates_for(reference.registry);
  }
  http_ = std::make_unique<HttpClient>(http);
  const auto add = [&](const std::string& host, const std::optional<Credentials>& given) {
    auto credentials = given ? given : find_credentials(options.credentials, host, reference.repository);
    endpoints_.push_back(std::make_unique<Endpoint>(*http_, host, std::move(credentials), options));
  };
  if (access == Access::kPull) {
    for (const std::string& mirror : mirrors_for(reference.registry, options.mirrors)) {
      add(mirror, std::nullopt);
    }
  }
  add(reference.registry, options.given);
  if (!reference.repository.empty()) {
    scope_ = fmt::format("repository:{}:{}", reference.repository, access == Access::kPull ? "pull" : "pull,push");
  }
}

Registry::~Registry() = default;

const std::string& Registry::host() const { return endpoints_.back()->registry(); }

HttpRequest Registry::request(std::string method, std::string path, std::string_view why) const {
  HttpRequest request;
  request.method = std::move(method);
  request.url = fmt::format("/v2/{}/{}", reference_.repository, path);
  request.why = why;
  return request;
}

std::optional<FetchedManifest> Registry::manifest(const std::string& tag_or_digest, const std::optional<Digest>& known) {
  const auto wanted = Digest::try_parse(tag_or_digest);
  HttpRequest get = request("GET", "manifests/" + tag_or_digest, "what the image is made of");
  get.headers = {accepted_manifests()};
  get.body_limit = kManifestLimit;
  if (known) {
    get.headers.push_back(fmt::format("If-None-Match: \"{}\"", known->text()));
  }
  const std::string what = fmt::format("{}{}{}", reference_.name(), wanted ? "@" : ":", tag_or_digest);
  std::optional<Error> refused;
  for (const auto& endpoint : endpoints_) {
    HttpResponse response = endpoint->send(get, scope_);
    if (response.status == 304 && known) {
      return std::nullopt;
    }
    if (!response.ok()) {
      refused = endpoint->refusal(response, what);
      explain::note(refused->message(), "the next place is asked");
      continue;
    }
    const Digest digest = digest_of(response.body, wanted ? wanted->algorithm() : Algorithm::kSha256);
    const auto announced = Digest::try_parse(response.header("docker-content-digest"));
    const bool lied = announced && announced->algorithm() == digest.algorithm() && *announced != digest;
    if ((wanted && *wanted != digest) || lied) {
      refused = fail("{}: {} sent other bytes than the digest says: {} instead of {}", what, endpoint->registry(),
                     digest.text(), wanted ? wanted->text() : announced->text());
      continue;
    }
    if (known && *known == digest) {
      return std::nullopt;
    }
    std::string type = announced_type(response);
    return FetchedManifest{std::move(response.body), std::move(type), digest};
  }
  throw std::move(*refused);
}

uint64_t Registry::fetch_part(Endpoint& endpoint, const Descriptor& descriptor, uint64_t offset,
                              const std::function<void(std::string_view)>& sink, HttpResponse& response) {
  HttpRequest get = request("GET", "blobs/" + descriptor.digest.text(), offset == 0 ? "a part of the image" : "the rest of it");
  if (offset > 0) {
    get.headers = {fmt::format("Range: bytes={}-", offset)};
  }
  uint64_t at = offset;     // how much the sink has
  uint64_t skip = 0;        // of an answer that starts at the beginning again
  bool started = false;
  get.sink = [&](const HttpResponse& head, std::string_view bytes) {
    if (!started) {
      started = true;
      if (head.status == 206 && range_start(head) != offset) {
        throw fail("{} sends another range than was asked for", endpoint.registry());
      }
      skip = head.status == 206 ? 0 : offset;
    }
    const size_t passed = static_cast<size_t>(std::min<uint64_t>(skip, bytes.size()));
    skip -= passed;
    bytes.remove_prefix(passed);
    if (bytes.size() > descriptor.size - at) {
      throw fail("{}: {} sends more than the {} bytes it should have", descriptor.digest.text(), endpoint.registry(),
                 descriptor.size);
    }
    at += bytes.size();
    sink(bytes);
  };
  response = endpoint.send(get, scope_, Endpoint::Attempts::kOnce);
  return at;
}

void Registry::fetch_blob(const Descriptor& descriptor, const std::function<void(std::string_view)>& sink, uint64_t offset) {
  const std::string what = fmt::format("{}@{}", reference_.name(), descriptor.digest.text());
  std::optional<Error> refused;
  for (const auto& endpoint : endpoints_) {
    for (unsigned attempt = 1; offset < descriptor.size || !refused; ++attempt) {
      HttpResponse response;
      const uint64_t before = offset;
      offset = fetch_part(*endpoint, descriptor, offset, sink, response);
      if (offset == descriptor.size && (response.ok() || offset > 0)) {
        return;
      }
      const bool short_answer = response.ok();
      refused = short_answer ? fail("{}: {} ends after {} of {} bytes", what, endpoint->registry(), offset, descriptor.size)
                             : endpoint->refusal(response, what);
      if (offset > before) {
        attempt = 1;  // it goes forward
      }
      const bool again = (short_answer && offset > before) || Endpoint::worth_retrying(response);
      if (!again || attempt >= options_.attempts) {
        break;
      }
      endpoint->pause(response, attempt);
    }
  }
  throw std::move(*refused);
}

std::string Registry::blob(const Descriptor& descriptor, size_t limit) {
  if (descriptor.size > limit) {
    throw fail("{}@{} has {} bytes, more than the {} that are allowed", reference_.name(), descriptor.digest.text(),
               descriptor.size, limit);
  }
  std::string text;
  fetch_blob(descriptor, [&](std::string_view bytes) { text += bytes; });
  if (digest_of(text, descriptor.digest.algorithm()) != descriptor.digest) {
    throw fail("{}@{}: other bytes than the digest says", reference_.name(), descriptor.digest.text());
  }
  return text;
}

void Registry::check_access() {
  HttpRequest get{.url = "/v2/", .why = "whether the registry lets us in"};
  Endpoint& endpoint = *endpoints_.back();
  const HttpResponse response = endpoint.send(get, scope_);
  if (!response.ok()) {
    throw endpoint.refusal(response, "login");
  }
}

}  // namespace jigsaw::image
