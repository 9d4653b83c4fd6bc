// Registry, writing: uploads and manifests.
#include <algorithm>

#include "base/error.h"
#include "image/endpoint.h"
#include "image/registry.h"

namespace jigsaw::image {
namespace {

constexpr const char* kBinary = "Content-Type: application/octet-stream";

std::string with_digest(const std::string& location, const Digest& digest) {
  return location + (location.find('?') == std::string::npos ? "?" : "&") + "digest=" + url_encode(digest.text());
}

// Where the next part of an upload goes: the Location of an answer.
std::string next_location(const HttpResponse& response, const std::string& what) {
  std::string location = resolve_url(response.url, response.header("location"));
  if (location.empty()) {
    throw fail("{}: the registry does not say where to send it", what);
  }
  return location;
}

}  // namespace

bool Registry::has_blob(const Digest& digest) {
  Endpoint& endpoint = *endpoints_.back();
  const HttpResponse response =
      endpoint.send(request("HEAD", "blobs/" + digest.text(), "what is there needs no second journey"), scope_);
  if (!response.ok() && response.status != 404) {
    throw endpoint.refusal(response, "push " + reference_.name());
  }
  return response.ok();
}

bool Registry::mount_blob(const Digest& digest, const std::string& from_repository) {
  HttpRequest post = request(
      "POST", fmt::format("blobs/uploads/?mount={}&from={}", url_encode(digest.text()), url_encode(from_repository)),
      "the registry may take it over from another repository");
  const std::string scope = fmt::format("{} repository:{}:pull", scope_, from_repository);
  const HttpResponse response = endpoints_.back()->send(post, scope);
  if (response.status == 202) {  // it opened an upload instead
    HttpRequest cancel{.method = "DELETE", .url = next_location(response, "push"), .why = "an upload we don't need"};
    endpoints_.back()->send(cancel, scope_, Endpoint::Attempts::kOnce);
  }
  return response.status == 201;
}

std::string Registry::begin_upload(const std::string& query) {
  Endpoint& endpoint = *endpoints_.back();
  const HttpResponse response = endpoint.send(request("POST", "blobs/uploads/" + query, "begin an upload"), scope_);
  if (response.status != 202) {
    throw endpoint.refusal(response, "push " + reference_.name());
  }
  return next_location(response, "push " + reference_.name());
}

void Registry::finish_upload(const std::string& location, const Digest& digest) {
  HttpRequest put{.method = "PUT", .url = with_digest(location, digest), .headers = {kBinary},
                  .why = "the upload is complete, and this is its digest"};
  Endpoint& endpoint = *endpoints_.back();
  const HttpResponse response = endpoint.send(put, scope_, Endpoint::Attempts::kOnce);
  if (!response.ok()) {
    throw endpoint.refusal(response, fmt::format("push {}@{}", reference_.name(), digest.text()));
  }
}

void Registry::send_chunks(std::string location, const Descriptor& descriptor, const Open& open, uint64_t chunk) {
  const Read read = open();
  const std::string what = fmt::format("push {}@{}", reference_.name(), descriptor.digest.text());
  for (uint64_t offset = 0; offset < descriptor.size;) {
    const uint64_t length = std::min(chunk, descriptor.size - offset);
    uint64_t left = length;
    HttpRequest patch{.method = "PATCH", .url = location, .why = "the next chunk"};
    patch.headers = {kBinary, fmt::format("Content-Range: {}-{}", offset, offset + length - 1)};
    patch.body_size = length;
    patch.read_body = [&](std::span<char> space) {
      const size_t got = read(space.first(static_cast<size_t>(std::min<uint64_t>(space.size(), left))));
      left -= got;
      return got;
    };
    Endpoint& endpoint = *endpoints_.back();
    const HttpResponse response = endpoint.send(patch, scope_, Endpoint::Attempts::kOnce);
    if (!response.ok()) {
      throw endpoint.refusal(response, what);
    }
    location = next_location(response, what);
    offset += length;
  }
  finish_upload(location, descriptor.digest);
}

void Registry::upload(const Descriptor& descriptor, const Open& open, uint64_t chunk) {
  Endpoint& endpoint = *endpoints_.back();
  for (unsigned attempt = 1;; ++attempt) {
    const std::string location = begin_upload("");
    if (chunk > 0) {
      return send_chunks(location, descriptor, open, chunk);
    }
    HttpRequest put{.method = "PUT", .url = with_digest(location, descriptor.digest), .headers = {kBinary},
                    .why = "the whole blob at once"};
    put.read_body = open();
    put.body_size = descriptor.size;
    const HttpResponse response = endpoint.send(put, scope_, Endpoint::Attempts::kOnce);
    if (response.ok()) {
      return;
    }
    if (attempt >= options_.attempts || !Endpoint::worth_retrying(response)) {
      throw endpoint.refusal(response, fmt::format("push {}@{}", reference_.name(), descriptor.digest.text()));
    }
    endpoint.pause(response, attempt);
  }
}

Digest Registry::upload_stream(const Open& open, const std::function<Digest()>& finished) {
  Endpoint& endpoint = *endpoints_.back();
  for (unsigned attempt = 1;; ++attempt) {
    HttpRequest patch{.method = "PATCH", .url = begin_upload(""), .headers = {kBinary},
                      .why = "a blob whose length is known only at its end"};
    patch.read_body = open();
    const HttpResponse response = endpoint.send(patch, scope_, Endpoint::Attempts::kOnce);
    if (response.ok()) {
      const Digest digest = finished();
      finish_upload(next_location(response, "push " + reference_.name()), digest);
      return digest;
    }
    if (attempt >= options_.attempts || !Endpoint::worth_retrying(response)) {
      throw endpoint.refusal(response, "push " + reference_.name());
    }
    endpoint.pause(response, attempt);
  }
}

void Registry::put_manifest(const std::string& text, const std::string& media_type, const std::string& tag_or_digest) {
  HttpRequest put = request("PUT", "manifests/" + tag_or_digest, "the image becomes visible only now, with all its parts there");
  put.headers = {"Content-Type: " + media_type};
  put.body = text;
  Endpoint& endpoint = *endpoints_.back();
  const HttpResponse response = endpoint.send(put, scope_);
  if (!response.ok()) {
    throw endpoint.refusal(response, fmt::format("push {}:{}", reference_.name(), tag_or_digest));
  }
}

}  // namespace jigsaw::image
