// Registry: one repository on a registry, in the words of the OCI distribution spec.
//
//     manifest()      GET  /v2/<name>/manifests/<tag or digest>
//     tags()          GET  /v2/<name>/tags/list
//     fetch_blob()    GET  /v2/<name>/blobs/<digest>             goes on with Range where a connection broke
//     has_blob()      HEAD /v2/<name>/blobs/<digest>
//     upload…()       POST /v2/<name>/blobs/uploads/ → Location; PATCH … ; PUT …?digest=
//     put_manifest()  PUT  /v2/<name>/manifests/<tag or digest>
//
// Reads ask the mirrors first. Every request is tried again after 408, 429 and 5xx answers and broken connections, with
// growing pauses or the one that Retry-After asks for. Nothing it returns has an unverified digest, except the bytes
// that fetch_blob() hands on as they come: their reader hashes them. All methods may be called by several threads.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image/credentials.h"
#include "image/http.h"
#include "image/manifest.h"
#include "image/reference.h"

namespace jigsaw::image {

class Endpoint;

struct RegistryOptions {
  HttpOptions http;
  CredentialFiles credentials;
  std::optional<Credentials> given;  // --creds: in the place of what the files hold
  std::vector<std::string> mirrors;  // hosts.h, mirrors_for()
  unsigned attempts = 5;
  std::chrono::milliseconds first_pause{400};  // doubled for each further attempt
};

struct FetchedManifest {
  std::string text;
  std::string media_type;  // as announced, without parameters; "" if it said nothing of use
  Digest digest;
};

class Registry {
 public:
  enum class Access { kPull, kPush };
  Registry(const Reference& reference, Access access, const RegistryOptions& options);
  ~Registry();

  // Text of a manifest or index by tag or digest. Nothing if the tag still is `known`.
  std::optional<FetchedManifest> manifest(const std::string& tag_or_digest, const std::optional<Digest>& known = {});
  // All tags of the repository, sorted.
  std::vector<std::string> tags();
  // Hands the bytes from `offset` to descriptor.size to `sink`, in order, or throws.
  void fetch_blob(const Descriptor& descriptor, const std::function<void(std::string_view)>& sink, uint64_t offset = 0);
  // A small blob, verified.
  std::string blob(const Descriptor& descriptor, size_t limit);

  bool has_blob(const Digest& digest);
  // Asks the registry to take the blob over from another of its repositories.
  bool mount_blob(const Digest& digest, const std::string& from_repository);
  // `open` starts the bytes anew for each attempt; what it returns gives them piece by piece, 0 at the end.
  using Read = std::function<size_t(std::span<char>)>;
  using Open = std::function<Read()>;
  // Bytes whose digest and size are known: one PUT, or, if `chunk` is not 0, a PATCH for each `chunk` bytes.
  void upload(const Descriptor& descriptor, const Open& open, uint64_t chunk = 0);
  // Bytes that are made as they are sent: one PATCH of unknown length. `finished` tells their digest after the last one.
  Digest upload_stream(const Open& open, const std::function<Digest()>& finished);
  void put_manifest(const std::string& text, const std::string& media_type, const std::string& tag_or_digest);

  // Makes sure that we are let in: for login. Throws with the reason.
  void check_access();
  const std::string& host() const;

 private:
  HttpRequest request(std::string method, std::string path, std::string_view why) const;
  std::string begin_upload(const std::string& query);
  void finish_upload(const std::string& location, const Digest& digest);
  void send_chunks(std::string location, const Descriptor& descriptor, const Open& open, uint64_t chunk);
  uint64_t fetch_part(Endpoint& endpoint, const Descriptor& descriptor, uint64_t offset,
                      const std::function<void(std::string_view)>& sink, HttpResponse& response);

  Reference reference_;
  RegistryOptions options_;
  std::unique_ptr<HttpClient> http_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;  // mirrors first, the registry itself last
  std::string scope_;
};

}  // namespace jigsaw::image
