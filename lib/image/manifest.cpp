#include "image/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace jigsaw::image {
namespace {

using json::Value;
using json::View;

constexpr uint64_t kDescriptorLimit = INT64_MAX;  // sizes are int64 in the spec
constexpr size_t kLongestKey = 64;               // more than three times that of any key that we look at
constexpr size_t kTextLimit = 4096;               // bytes of a media type or URL

std::string short_text(const View& view) {
  std::string text = view.string();
  if (text.size() > kTextLimit) {
    view.refuse(fmt::format("is longer than {} bytes", kTextLimit));
  }
  return text;
}

Platform read_platform(const View& view) {
  return Platform{.os = view.string_or("os", ""),
                  .architecture = view.string_or("architecture", ""),
                  .variant = view.string_or("variant", ""),
                  .os_version = view.string_or("os.version", ""),
                  .os_features = view.strings_or_none("os.features")};
}

std::map<std::string, std::string> read_annotations(const View& view) {
  const auto annotations = view.find("annotations");
  return annotations ? annotations->string_map() : std::map<std::string, std::string>();
}

Digest read_digest(const View& view) {
  const std::string text = view.string();
  if (auto digest = Digest::try_parse(text)) {
    return *digest;
  }
  if (Digest::is_foreign(text)) {
    view.refuse(fmt::format("is a digest that can't be verified here: {}", text::quoted(text)),
                "sha256 and sha512 are known: push the image anew with one of them");
  }
  view.refuse(fmt::format("is no digest: {}", text::quoted(text)),
              "a digest is sha256: and 64 hex digits in lower case, or sha512: and 128");
}

// RFC 4648, 4: groups of four, the last one filled up with "=".
bool is_base64(std::string_view text) {
  const size_t digits = text.find_last_not_of('=') + 1;
  const auto is_digit = [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '/'; };
  return text.size() % 4 == 0 && text.size() - digits <= 2 && std::all_of(text.begin(), text.begin() + static_cast<ptrdiff_t>(digits), is_digit);
}

// What `data` embeds is not used: the content is read where it is, and verified there.
Descriptor read_descriptor(const View& view) {
  refuse_look_alikes(view, {"mediaType", "digest", "size", "platform"});
  Descriptor result{.media_type = short_text(view.at("mediaType")),
                    .digest = read_digest(view.at("digest")),
                    .size = view.at("size").unsigned_integer(kDescriptorLimit),
                    .annotations = read_annotations(view),
                    .urls = view.strings_or_none("urls"),
                    .artifact_type = view.string_or("artifactType", "")};
  if (const auto platform = view.find("platform")) {
    result.platform = read_platform(*platform);
  }
  if (const auto data = view.find("data"); data && !is_base64(data->string())) {
    data->refuse("is no base64");
  }
  return result;
}

// descriptor.md: digests of algorithms that are not known are valid. What is not needed may have one.
bool has_foreign_digest(const View& view) {
  const auto digest = view.find("digest");
  return digest && digest->is_string() && Digest::is_foreign(digest->string());
}

// The specification requires it to be there. Most tools let it pass; a registry does not (docker-registry answers 500), so no
// image that was ever pushed is without it.
void check_version(const View& root) {
  if (root.at("schemaVersion").integer() != 2) {
    root.at("schemaVersion").refuse("must be 2", "version 1 manifests went out of use in 2017: push the image anew");
  }
}

Value platform_value(const Platform& platform) {
  Value value{{"architecture", platform.architecture}, {"os", platform.os}};
  if (!platform.os_version.empty()) {
    value["os.version"] = platform.os_version;
  }
  if (!platform.os_features.empty()) {
    value["os.features"] = platform.os_features;
  }
  if (!platform.variant.empty()) {
    value["variant"] = platform.variant;
  }
  return value;
}

Value descriptor_value(const Descriptor& descriptor) {
  Value value{{"mediaType", descriptor.media_type}, {"digest", descriptor.digest.text()}, {"size", descriptor.size}};
  if (!descriptor.urls.empty()) {
    value["urls"] = descriptor.urls;
  }
  if (!descriptor.annotations.empty()) {
    value["annotations"] = descriptor.annotations;
  }
  if (descriptor.platform) {
    value["platform"] = platform_value(*descriptor.platform);
  }
  if (!descriptor.artifact_type.empty()) {
    value["artifactType"] = descriptor.artifact_type;
  }
  return value;
}

DocumentKind classify_view(const View& root, std::string_view name, std::string_view declared) {
  refuse_look_alikes(root, {"schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "artifactType"});
  const bool manifest = root.find("config") || root.find("layers");
  const bool index = root.find("manifests").has_value();
  const std::string written = root.string_or("mediaType", "");
  if (root.find("fsLayers") || (root.find("schemaVersion") && root.at("schemaVersion").value() == 1)) {
    throw Error(fmt::format("{} is a Docker schema 1 manifest, which this program does not read", name),
                "it is a format from before 2016: pull and push the image with a newer Docker, or rebuild it");
  }
  if (manifest && index) {
    throw Error(fmt::format("{} is a manifest and an index at once", name),
                "a document that two readers understand differently is refused (CVE-2021-41190)");
  }
  if (!manifest && !index) {
    throw fail("{} is neither an image manifest nor an index", name);
  }
  const auto contradicts = [&](std::string_view type) {
    return !type.empty() && ((is_index_type(type) && !index) || (is_manifest_type(type) && !manifest));
  };
  if (contradicts(written) || contradicts(declared) ||
      (!written.empty() && !is_index_type(written) && !is_manifest_type(written))) {
    throw fail("{} says it is of type {}, but holds {}", name,
               text::quoted(contradicts(declared) ? declared : std::string_view(written)), index ? "an index" : "a manifest");
  }
  if (!written.empty() && !declared.empty() && written != declared &&
      (is_index_type(declared) || is_manifest_type(declared))) {
    throw fail("{} was announced as {}, but says it is {}", name, text::quoted(declared), text::quoted(written));
  }
  return index ? DocumentKind::kIndex : DocumentKind::kManifest;
}

// As Go's reader folds a key: two letters beyond ASCII count as the "s" and "k" that they are capitals or old forms of.
std::string folded(std::string_view key) {
  std::string result = text::lower(key);
  for (const auto& [form, letter] : {std::pair("\u017f", "s"), std::pair("\u212a", "k")}) {
    for (size_t at = result.find(form); at != std::string::npos; at = result.find(form, at)) {
      result.replace(at, std::string_view(form).size(), letter);
    }
  }
  return result;
}

}  // namespace

void refuse_look_alikes(const json::View& view, std::initializer_list<std::string_view> keys) {
  view.each_member([&](const std::string& key, const View& member) {
    const std::string fold = folded(std::string_view(key).substr(0, kLongestKey));
    for (const std::string_view known : keys) {
      if (key != known && fold == text::lower(known)) {
        member.refuse(fmt::format("is not {}", text::quoted(known)), "many readers take one for the other, so it is refused");
      }
    }
  });
}

bool is_index_type(std::string_view type) { return type == media::kIndex || type == media::kDockerList; }
bool is_manifest_type(std::string_view type) { return type == media::kManifest || type == media::kDockerManifest; }

bool may_be_image(const Descriptor& entry) {
  return (is_manifest_type(entry.media_type) || is_index_type(entry.media_type)) &&
         (entry.artifact_type.empty() || entry.artifact_type == media::kConfig);
}

DocumentKind classify(std::string_view text, std::string_view name, std::string_view declared) {
  if (declared == media::kDockerSchema1 || declared == media::kDockerSchema1Signed) {
    throw Error(fmt::format("{} is a Docker schema 1 manifest, which this program does not read", name),
                "it is a format from before 2016: pull and push the image with a newer Docker, or rebuild it");
  }
  const json::Document document{std::string(text), std::string(name)};
  return classify_view(document.root(), name, declared);
}

Manifest parse_manifest(std::string_view text, std::string_view name, std::string_view declared) {
  const json::Document document{std::string(text), std::string(name)};
  const View root = document.root();
  if (classify_view(root, name, declared) != DocumentKind::kManifest) {
    throw fail("{} is an index, not the manifest of one image", name);
  }
  check_version(root);
  Manifest result{.media_type = root.string_or("mediaType", declared.empty() ? media::kManifest : declared),
                  .config = read_descriptor(root.at("config")),
                  .layers = {},
                  .annotations = read_annotations(root),
                  .artifact_type = root.string_or("artifactType", "")};
  const View layers = root.at("layers");
  if (layers.size() > kLayersLimit) {
    layers.refuse(fmt::format("has more than {} layers", kLayersLimit));
  }
  layers.each([&](const View& layer) { result.layers.push_back(read_descriptor(layer)); });
  if (const auto subject = root.find("subject"); subject && !has_foreign_digest(*subject)) {
    result.subject = read_descriptor(*subject);
  }
  return result;
}

Index parse_index(std::string_view text, std::string_view name, std::string_view declared) {
  const json::Document document{std::string(text), std::string(name)};
  const View root = document.root();
  if (classify_view(root, name, declared) != DocumentKind::kIndex) {
    throw fail("{} is the manifest of one image, not an index", name);
  }
  check_version(root);
  Index result{.media_type = root.string_or("mediaType", declared.empty() ? media::kIndex : declared),
               .manifests = {},
               .annotations = read_annotations(root),
               .foreign = {}};
  root.at("manifests").each([&](const View& each) {
    if (has_foreign_digest(each)) {
      result.foreign.push_back(each.at("digest").string());
    } else {
      result.manifests.push_back(read_descriptor(each));
    }
  });
  return result;
}

std::string about_foreign(const Index& index) {
  return index.foreign.empty() ? "" : fmt::format(" whose digest can be verified here (not {})", text::quoted(index.foreign.front()));
}

void check_layout_version(std::string_view text, std::string_view name) {
  const json::Document document(std::string(text), fmt::format("oci-layout of {}", name));
  if (const std::string version = document.root().at("imageLayoutVersion").string(); !version.starts_with("1.")) {
    throw fail("{} is an OCI image layout of version {}, and 1.0.0 is what this program reads", name, text::quoted(version));
  }
}

std::string write_manifest(const Manifest& manifest) {
  Value value{{"schemaVersion", 2}, {"mediaType", manifest.media_type}};
  if (!manifest.artifact_type.empty()) {
    value["artifactType"] = manifest.artifact_type;
  }
  value["config"] = descriptor_value(manifest.config);
  value["layers"] = Value::array();
  for (const Descriptor& layer : manifest.layers) {
    value["layers"].push_back(descriptor_value(layer));
  }
  if (manifest.subject) {
    value["subject"] = descriptor_value(*manifest.subject);
  }
  if (!manifest.annotations.empty()) {
    value["annotations"] = manifest.annotations;
  }
  return json::dump(value);
}

std::string write_index(const Index& index) {
  if (!index.foreign.empty()) {
    throw Error(fmt::format("an index with entries that can't be verified here can't be written anew: {}", index.foreign.front()),
                "sha256 and sha512 are known");
  }
  Value value{{"schemaVersion", 2}, {"mediaType", index.media_type}, {"manifests", Value::array()}};
  for (const Descriptor& manifest : index.manifests) {
    value["manifests"].push_back(descriptor_value(manifest));
  }
  if (!index.annotations.empty()) {
    value["annotations"] = index.annotations;
  }
  return json::dump(value);
}

std::optional<Compression> known_compression(std::string_view type) {
  constexpr std::string_view kForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
  constexpr std::string_view kDockerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd";
  constexpr std::string_view kOld = "application/vnd.oci.image.layer.nondistributable.v1.tar";
  if (type == media::kLayer || type == media::kDockerLayer || type == kOld) {
    return Compression::kNone;
  }
  if (type == media::kLayerGzip || type == media::kDockerLayerGzip || type == kForeign ||
      type == std::string(kOld) + "+gzip") {
    return Compression::kGzip;
  }
  if (type == media::kLayerZstd || type == kDockerZstd || type == std::string(kOld) + "+zstd") {
    return Compression::kZstd;
  }
  return std::nullopt;
}

Compression compression_of(std::string_view type) {
  if (const auto known = known_compression(type)) {
    return *known;
  }
  throw Error(fmt::format("{} is no type of layer that this program can unpack", text::quoted(type)),
              "it unpacks tar layers: uncompressed, gzip or zstd");
}

}  // namespace jigsaw::image
