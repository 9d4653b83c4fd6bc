// Manifests and indexes: the two JSON documents between a tag and the layers of an image.
//
//     index.json ── descriptor ──> index ── descriptor (platform) ──> manifest ──> config
//                                                                              └─> layer, layer, …
//
// Everything points by descriptor: media type, digest, size. The parsers take OCI's and Docker's (schema 2) types,
// check every field, and refuse a document that could be read as both kinds (CVE-2021-41190).
// Source: OCI image spec, manifest.md, image-index.md, descriptor.md.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/digest.h"

namespace jigsaw::json {
class View;
}

namespace jigsaw::image {

namespace media {
inline constexpr std::string_view kManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view kDockerSchema1 = "application/vnd.docker.distribution.manifest.v1+json";
inline constexpr std::string_view kDockerSchema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
}  // namespace media

// The annotation that holds a tag in an index.json.
inline constexpr std::string_view kRefNameAnnotation = "org.opencontainers.image.ref.name";

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
  std::string os_version;
  std::vector<std::string> os_features;

  friend bool operator==(const Platform&, const Platform&) = default;
};

struct Descriptor {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;  // bytes
  std::map<std::string, std::string> annotations{};
  std::vector<std::string> urls{};
  std::optional<Platform> platform{};
  std::string artifact_type{};
};

struct Manifest {
  std::string media_type{media::kManifest};
  Descriptor config;
  std::vector<Descriptor> layers;  // bottom first
  std::map<std::string, std::string> annotations{};
  std::string artifact_type{};
  std::optional<Descriptor> subject{};
};

// How far indexes within indexes are followed, and how long an index.json may be, in bytes.
inline constexpr int kMaxIndexDepth = 4;
inline constexpr size_t kIndexLimit = 64U << 20;

struct Index {
  std::string media_type{media::kIndex};
  std::vector<Descriptor> manifests;
  std::map<std::string, std::string> annotations{};
  std::vector<std::string> foreign{};  // digests of entries that were left out, since we can't verify them
};

inline constexpr size_t kManifestLimit = 4U << 20;  // bytes; what registries accept at most
inline constexpr size_t kLayersLimit = 4096;        // layers in one manifest

// What a document is, by its own fields; `declared` is the media type it was announced as ("" if it was not).
// Throws if it is neither, both at once, or not what was declared. Schema 1 is refused with a hint.
enum class DocumentKind { kManifest, kIndex };
DocumentKind classify(std::string_view text, std::string_view name, std::string_view declared = "");

// `name` is what messages call the document: "manifest of docker.io/library/alpine:latest".
Manifest parse_manifest(std::string_view text, std::string_view name, std::string_view declared = "");
Index parse_index(std::string_view text, std::string_view name, std::string_view declared = "");
// To be put behind "there is no such image": that entries were left out; "" if none was.
std::string about_foreign(const Index& index);
// `text`: the file oci-layout. Throws if it is of a version that we don't know. image-layout.md.
void check_layout_version(std::string_view text, std::string_view name);

// One line of JSON with the fields in the order of the spec: the same value gives the same bytes.
std::string write_manifest(const Manifest& manifest);
std::string write_index(const Index& index);  // throws if entries were left out: they would be lost

// Go's JSON reader, which most tools use, takes "Layers" for "layers": a member that is called nearly like one of `keys`
// would give a document a second meaning. Throws if there is one.
void refuse_look_alikes(const json::View& view, std::initializer_list<std::string_view> keys);

// How a layer's media type says it is compressed. Throws for types that are no layer.
enum class Compression { kNone, kGzip, kZstd };
std::optional<Compression> known_compression(std::string_view layer_media_type);
Compression compression_of(std::string_view layer_media_type);
bool is_index_type(std::string_view media_type);
bool is_manifest_type(std::string_view media_type);
// Whether an index's entry leads to an image, as far as the entry tells: not to an artifact, nor to what nobody knows.
bool may_be_image(const Descriptor& entry);

// The platform of this machine: linux/amd64, linux/arm64 with variant v8, …
Platform host_platform();
// "linux/arm64/v8", "linux/arm64" or "arm64". Throws.
Platform parse_platform(std::string_view text);
std::string platform_text(const Platform& platform);
// Whether what is made for `offered` runs on `machine`: the same, or an older variant of it.
bool runs_on(const Platform& offered, const Platform& machine);
// The manifest of an index that fits `wanted` best; nothing if none does. Attestations ("unknown") never fit.
std::optional<Descriptor> choose_platform(const Index& index, const Platform& wanted);

}  // namespace jigsaw::image
