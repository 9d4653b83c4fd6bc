// Any bytes as a WWW-Authenticate header, a URL and a Location: nothing may throw, and what is taken for an absolute URL
// has an origin.
#include <cstdlib>
#include <string_view>

#include "image/challenge.h"
#include "image/http.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace jigsaw;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (image::parse_challenges(text).size() > 16) {
    std::abort();
  }
  image::blotted_url(text);
  const std::string resolved = image::resolve_url("https://registry.example:5000/v2/a/b?c=d", text);
  if (!resolved.empty() && !image::url_origin(resolved)) {
    std::abort();
  }
  return 0;
}
