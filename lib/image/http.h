// One HTTP exchange at a time, over libcurl: what a registry client needs of HTTP, and nothing that could surprise it.
//
// The other side is not trusted: header and body sizes are bounded, only http and https are spoken, and a redirect is
// followed by us rather than by curl, since the Authorization header may only go to the host it was made for
// (CVE-2018-1000007 was curl's own lapse). A server that stalls is given up; a sink that is slow is waited for.
// Proxies are taken from http_proxy, https_proxy and no_proxy. Every exchange is told to --explain, secrets blotted out.
//
//     HttpClient ── send(request) ──▶ headers ──▶ body ──▶ sink, or HttpResponse::body
//
// RFC 9110. Programs that link this need libcurl (CMake: jigsaw_remote_libraries).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::image {

enum class TlsVerify { kYes, kNo };

struct HttpOptions {
  TlsVerify verify = TlsVerify::kYes;
  std::string certificates;                 // directory: *.crt are trusted, NAME.cert with NAME.key is shown to the server
  std::chrono::seconds connect_limit{20};
  std::chrono::seconds stall_limit{60};     // without a byte in either direction
};

struct HttpHeader {
  std::string name;  // lower case
  std::string value;
};

// What can keep an answer from coming whole.
enum class Trouble {
  kNone,
  kUnreachable,  // no such host, nobody listens
  kTls,          // the peer speaks no TLS, or shows a certificate we don't trust
  kCut,          // the connection broke or stalled: worth trying again
  kRefused,      // the answer broke our rules: too large, a redirect that may not be followed
};

struct HttpResponse {
  long status = 0;                 // 0: there was no answer
  Trouble trouble = Trouble::kNone;
  std::string problem;             // the trouble in words
  std::string url;      // where it came from at last
  std::vector<HttpHeader> headers;
  std::string body;     // empty if a sink took it

  // The last header of that (lower-case) name, or "".
  std::string header(std::string_view name) const;
  bool ok() const { return trouble == Trouble::kNone && status >= 200 && status < 300; }
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Accept: …"
  std::string authorization;         // "Bearer …"; not sent to another host than the url's
  std::string body;
  // A body that is read as it is sent; returns 0 at its end. `body_size` nothing: chunked transfer encoding.
  std::function<size_t(std::span<char>)> read_body;
  std::optional<uint64_t> body_size;
  // Takes the body of a 200 or 206 answer; `head` is complete by then. What it throws ends the exchange.
  std::function<void(const HttpResponse& head, std::string_view bytes)> sink;
  size_t body_limit = 4U << 20;      // bytes kept in HttpResponse::body; more is a problem
  std::string_view why;
};

class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sends and waits for the whole answer, following up to ten redirects of GET and HEAD. Failures of the network are told
  // in the response; throws what the sink threw. May be called by several threads; connections are kept and reused.
  HttpResponse send(const HttpRequest& request);

 private:
  struct Pool;
  HttpOptions options_;
  std::unique_ptr<Pool> pool_;
};

// scheme://host:port in lower case, with the default port filled in; nothing if the text is no http or https URL or
// holds a user name.
std::optional<std::string> url_origin(std::string_view url);
// `location` (absolute, or relative to `base`) as an absolute URL; "" if that can't be.
std::string resolve_url(std::string_view base, std::string_view location);
// As part of a query: everything but letters, digits and -._~ as %XX.
std::string url_encode(std::string_view text);
// The URL with the values of a query that could be secrets replaced by "***".
std::string blotted_url(std::string_view url);

}  // namespace jigsaw::image
