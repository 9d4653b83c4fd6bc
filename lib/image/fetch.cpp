#include "image/fetch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "image/http.h"

namespace jigsaw::image {
namespace {

// "Wed, 21 Oct 2015 07:28:00 GMT" (RFC 9110, 5.6.7); nothing for anything else.
std::optional<timespec> http_date(const std::string& text) {
  struct tm parts {};
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') {
    return std::nullopt;
  }
  return timespec{::timegm(&parts), 0};
}

// Writes the body to `file`, from its start.
HttpResponse receive(HttpClient& client, const FetchOptions& options, int file) {
  check(::ftruncate(file, 0), "empty {}", options.output);
  check(::lseek(file, 0, SEEK_SET), "rewind {}", options.output);
  uint64_t size = 0;
  return client.send({.url = options.address,
                      .headers = {"Accept-Encoding: identity"},
                      .sink =
                          [&](const HttpResponse&, std::string_view bytes) {
                            size += bytes.size();
                            if (size > options.limit) {
                              throw fail("{} is larger than {}", options.address, text::human_size(options.limit));
                            }
                            files::write_all(file, bytes, options.output);
                          },
                      .why = "a file that a build names by its address"});
}

}  // namespace

void fetch(const FetchOptions& options) {
  const std::string shown = blotted_url(options.address);
  if (!url_origin(options.address)) {
    throw Error(fmt::format("'{}' is no http or https address", shown));
  }
  const Fd file = files::open(options.output, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
  HttpClient client({});
  HttpResponse answer;
  for (unsigned attempt = 1;; ++attempt) {
    answer = receive(client, options, file.get());
    const bool again = answer.trouble == Trouble::kCut || answer.status >= 500 || answer.status == 429;
    if (!again || attempt >= options.attempts) {
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200) * (1U << attempt));
  }
  if (answer.trouble != Trouble::kNone) {
    throw fail("GET {}: {}", shown, answer.problem);
  }
  if (!answer.ok()) {
    throw fail("GET {}: the server answers {}", shown, answer.status)
        .with_hint(answer.status == 404 ? "there is nothing under this address" : "");
  }
  if (const std::optional<timespec> time = http_date(answer.header("last-modified"))) {
    const timespec times[2] = {*time, *time};
    check(::futimens(file.get(), times), "set the times of {}", options.output);
  }
}

}  // namespace jigsaw::image
