// Registry, the list of tags: GET /v2/<name>/tags/list, which may come in pages that each name the next one in a Link
// header. OCI distribution spec, "Content Discovery"; RFC 8288.
#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/endpoint.h"
#include "image/registry.h"

namespace jigsaw::image {
namespace {

constexpr size_t kTagsLimit = 100'000;

// The path of the next page, or "". Only a page of the same list counts, whatever host the header names.
std::string next_page(const HttpResponse& response, const std::string& list) {
  const std::string link = response.header("link");
  const size_t end = link.find('>');
  if (!link.starts_with('<') || end == std::string::npos || link.find("rel=\"next\"", end) == std::string::npos) {
    return "";
  }
  const size_t start = link.find(list + "?");
  return start == std::string::npos || start > end ? "" : link.substr(start, end - start);
}

}  // namespace

std::vector<std::string> Registry::tags() {
  Endpoint& endpoint = *endpoints_.back();
  const std::string list = fmt::format("/v2/{}/tags/list", reference_.repository);
  std::vector<std::string> result;
  for (std::string page = list; !page.empty();) {
    HttpRequest get = request("GET", "tags/list", "which tags there are");
    get.url = page;
    const HttpResponse response = endpoint.send(get, scope_);
    if (!response.ok()) {
      throw endpoint.refusal(response, "list the tags of " + reference_.name());
    }
    const json::Document document(response.body, "list of the tags of " + reference_.name());
    const size_t before = result.size();
    for (std::string& tag : document.root().strings_or_none("tags")) {
      if (!is_tag(tag)) {
        throw fail("{} lists a tag that is none: {}", endpoint.registry(), text::quoted(tag));
      }
      result.push_back(std::move(tag));
    }
    if (result.size() > kTagsLimit) {
      throw fail("{} lists more than {} tags", endpoint.registry(), kTagsLimit);
    }
    page = result.size() > before ? next_page(response, list) : "";
  }
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

}  // namespace jigsaw::image
