#include "image/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>

#include "base/error.h"
#include "base/explain.h"
#include "base/files.h"
#include "base/interruption.h"
#include "base/text.h"

namespace jigsaw::image {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kHeaderLimit = 64U << 10;  // all headers of one answer
constexpr int kMaxRedirects = 10;
constexpr long kReceiveBuffer = 256L << 10;
constexpr long kSendBuffer = 256L << 10;
constexpr const char* kUserAgent = "jigsaw/" JIGSAW_VERSION;
constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

// One exchange under way: what curl's callbacks share.
struct Exchange {
  const HttpRequest* request = nullptr;
  HttpResponse response;
  CURL* handle = nullptr;
  std::chrono::seconds stall_limit{};
  size_t header_bytes = 0;
  size_t body_sent = 0;
  std::string refused;        // why we ended it
  bool stalled = false;
  std::exception_ptr thrown;  // what a sink or a reader threw
  Clock::time_point last_byte = Clock::now();
  curl_off_t bytes_up = 0;
};

template <class Body>
size_t guarded(Exchange& exchange, size_t failure, Body body) {
  try {
    const size_t result = body();
    exchange.last_byte = Clock::now();
    return result;
  } catch (...) {
    exchange.thrown = std::current_exception();
    return failure;
  }
}

size_t on_header(char* data, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  return guarded(exchange, 0, [&]() -> size_t {
    const std::string_view line = text::trim({data, size * count});
    exchange.header_bytes += size * count;
    if (exchange.header_bytes > kHeaderLimit) {
      exchange.refused = fmt::format("its headers are larger than {}", text::human_size(kHeaderLimit));
      return 0;
    }
    if (line.starts_with("HTTP/")) {  // a further answer after 100 Continue
      exchange.response.headers.clear();
      return size * count;
    }
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      exchange.response.headers.push_back(
          {text::lower(line.substr(0, colon)), std::string(text::trim(line.substr(colon + 1)))});
    }
    return size * count;
  });
}

size_t on_body(char* data, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  return guarded(exchange, 0, [&]() -> size_t {
    const std::string_view bytes(data, size * count);
    if (exchange.response.status == 0) {
      curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &exchange.response.status);
    }
    const long status = exchange.response.status;
    if (exchange.request->sink && (status == 200 || status == 206)) {
      exchange.request->sink(exchange.response, bytes);
      return bytes.size();
    }
    if (exchange.response.body.size() + bytes.size() > exchange.request->body_limit) {
      exchange.refused = fmt::format("the answer is larger than {}", text::human_size(exchange.request->body_limit));
      return 0;
    }
    exchange.response.body += bytes;
    return bytes.size();
  });
}

size_t on_read(char* buffer, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  return guarded(exchange, CURL_READFUNC_ABORT, [&]() -> size_t {
    const std::span<char> space(buffer, size * count);
    if (exchange.request->read_body) {
      return exchange.request->read_body(space);
    }
    const size_t length = std::min(space.size(), exchange.request->body.size() - exchange.body_sent);
    std::memcpy(space.data(), exchange.request->body.data() + exchange.body_sent, length);
    exchange.body_sent += length;
    return length;
  });
}

// Called about once a second even when nothing comes: the place to notice a stall, or that the user has had enough.
int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t up) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (Interruption::came()) {
    exchange.thrown = std::make_exception_ptr(Interruption::error());
    return 1;
  }
  if (up != exchange.bytes_up) {
    exchange.bytes_up = up;
    exchange.last_byte = Clock::now();
  }
  if (Clock::now() - exchange.last_byte > exchange.stall_limit) {
    exchange.refused = fmt::format("no byte for {} seconds", exchange.stall_limit.count());
    exchange.stalled = true;
    return 1;
  }
  return 0;
}

Trouble trouble_of(CURLcode code) {
  switch (code) {
    case CURLE_OK: return Trouble::kNone;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: return Trouble::kUnreachable;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR: return Trouble::kTls;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return Trouble::kRefused;
    default: return Trouble::kCut;
  }
}

void explain_exchange(const HttpRequest& request, const HttpResponse& response) {
  if (!explain::on()) {
    return;
  }
  std::string arguments = fmt::format("{} {}", request.method, blotted_url(request.url));
  std::string shell = "curl";
  if (request.method != "GET") {
    shell += request.method == "HEAD" ? " -I" : " -X " + request.method;
  }
  for (const std::string& header : request.headers) {
    shell += " -H " + text::shell_word(header);
  }
  if (!request.authorization.empty()) {
    const std::string kind = request.authorization.substr(0, request.authorization.find(' '));
    arguments += fmt::format(" Authorization: {} ***", kind);
    shell += fmt::format(" -H 'Authorization: {} ***'", kind);
  }
  shell += " " + text::shell_word(blotted_url(request.url));
  std::string why(request.why);
  if (!response.problem.empty()) {
    why += fmt::format("{}answer: {}", why.empty() ? "" : "; ", response.problem);
  }
  explain::report({"http", arguments, shell}, why, response.status, 0);
}

}  // namespace

std::string HttpResponse::header(std::string_view name) const {
  const auto found = std::find_if(headers.rbegin(), headers.rend(), [&](const auto& entry) { return entry.name == name; });
  return found != headers.rend() ? found->value : std::string{};
}

// Idle handles with their open connections, and what is set up once for all of them.
struct HttpClient::Pool {
  std::mutex mutex;
  std::vector<CURL*> idle;
  std::string authorities;
  std::string client_certificate;
  std::string client_key;

  CURL* take() {
    {
      const std::lock_guard guard(mutex);
      if (!idle.empty()) {
        CURL* handle = idle.back();
        idle.pop_back();
        curl_easy_reset(handle);  // keeps the connections
        return handle;
      }
    }
    CURL* handle = curl_easy_init();
    if (handle == nullptr) {
      throw Error("libcurl can't be set up");
    }
    return handle;
  }
  void give_back(CURL* handle) {
    const std::lock_guard guard(mutex);
    idle.push_back(handle);
  }

  void read_certificates(const std::string& directory) {
    for (const std::string& name : files::list(directory)) {
      const std::string path = directory + "/" + name;
      if (name.ends_with(".crt")) {
        authorities += files::read(path) + "\n";
      } else if (name.ends_with(".cert")) {
        client_certificate = path;
        client_key = path.substr(0, path.size() - 5) + ".key";
      }
    }
    if (!authorities.empty()) {
      authorities += files::read_if_exists(kSystemAuthorities).value_or("");
    }
  }
};

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)), pool_(std::make_unique<Pool>()) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  if (!options_.certificates.empty()) {
    pool_->read_certificates(options_.certificates);
  }
}

HttpClient::~HttpClient() {
  for (CURL* handle : pool_->idle) {
    curl_easy_cleanup(handle);
  }
}

namespace {

void set_transport(CURL* curl, const HttpOptions& options, Exchange& exchange, char* error_text) {
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, kUserAgent);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, kReceiveBuffer);
  curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, kSendBuffer);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_limit.count()));
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_text);
  curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
  if (options.verify == TlsVerify::kNo) {
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

void set_method(CURL* curl, const HttpRequest& request, Exchange& exchange) {
  if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    return;
  }
  const bool has_body = request.read_body || !request.body.empty();
  if (!has_body && request.method != "POST" && request.method != "PUT" && request.method != "PATCH") {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    return;
  }
  curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
  curl_easy_setopt(curl, CURLOPT_READDATA, &exchange);
  if (!request.read_body) {
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  } else if (request.body_size) {
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(*request.body_size));
  }
}

HttpResponse perform(CURL* curl, const HttpOptions& options, const HttpRequest& request) {
  Exchange exchange;
  exchange.request = &request;
  exchange.handle = curl;
  exchange.stall_limit = options.stall_limit;
  exchange.response.url = request.url;
  char error_text[CURL_ERROR_SIZE] = "";
  set_transport(curl, options, exchange, error_text);
  set_method(curl, request, exchange);
  curl_slist* headers = nullptr;
  const auto add = [&](const std::string& line) { headers = curl_slist_append(headers, line.c_str()); };
  for (const std::string& header : request.headers) {
    add(header);
  }
  if (!request.authorization.empty()) {
    add("Authorization: " + request.authorization);
  }
  add("Expect:");  // no pause for 100 Continue
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  if (exchange.thrown) {
    std::rethrow_exception(exchange.thrown);
  }
  HttpResponse response = std::move(exchange.response);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response.status);
  if (code != CURLE_OK) {
    const std::string text = *error_text != '\0' ? error_text : curl_easy_strerror(code);
    response.problem = exchange.refused.empty() ? text::printable_line(text) : exchange.refused;
    response.trouble = exchange.refused.empty() || exchange.stalled ? trouble_of(code) : Trouble::kRefused;
  }
  return response;
}

bool is_redirect(const HttpRequest& request, const HttpResponse& response) {
  const long status = response.status;
  return (request.method == "GET" || request.method == "HEAD") && response.trouble == Trouble::kNone &&
         (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

}  // namespace

HttpResponse HttpClient::send(const HttpRequest& request) {
  HttpRequest step = request;
  for (int redirects = 0;; ++redirects) {
    CURL* curl = pool_->take();
    if (!pool_->authorities.empty()) {
      curl_blob blob{pool_->authorities.data(), pool_->authorities.size(), CURL_BLOB_NOCOPY};
      curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (!pool_->client_certificate.empty()) {
      curl_easy_setopt(curl, CURLOPT_SSLCERT, pool_->client_certificate.c_str());
      curl_easy_setopt(curl, CURLOPT_SSLKEY, pool_->client_key.c_str());
    }
    HttpResponse response;
    try {
      response = perform(curl, options_, step);
    } catch (...) {
      curl_easy_cleanup(curl);  // its connection is in the middle of something
      throw;
    }
    pool_->give_back(curl);
    explain_exchange(step, response);
    if (!is_redirect(step, response)) {
      return response;
    }
    const std::string target = resolve_url(step.url, response.header("location"));
    const auto from = url_origin(step.url);
    const auto to = url_origin(target);
    if (!to || redirects == kMaxRedirects) {
      response.trouble = Trouble::kRefused;
      response.problem = redirects == kMaxRedirects ? "it redirects in a circle" : "it redirects to no http or https URL";
      return response;
    }
    if (from && from->starts_with("https:") && to->starts_with("http:")) {
      response.trouble = Trouble::kRefused;
      response.problem = fmt::format("it redirects from https to {}", blotted_url(target));
      return response;
    }
    if (to != from) {
      step.authorization.clear();
    }
    step.url = target;
    step.why = "redirected";
  }
}

}  // namespace jigsaw::image
