#include "image/docker_archive.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "image/config.h"
#include "image/inflate.h"
#include "image/reference.h"

namespace jigsaw::image {
namespace {

constexpr size_t kListLimit = 16U << 20;
constexpr size_t kBuffer = 256U << 10;

}  // namespace

std::vector<DockerArchiveImage> docker_archive_images(const TarIndex& archive) {
  const json::Document document(archive.read("manifest.json", kListLimit), "manifest.json of " + archive.name());
  std::vector<DockerArchiveImage> images;
  document.root().each([&](const json::View& entry) {
    DockerArchiveImage image;
    image.config = entry.at("Config").string();
    image.layers = entry.strings_or_none("Layers");  // docker writes null for none
    for (const std::string& name : entry.strings_or_none("RepoTags")) {
      image.names.push_back(with_default_tag(parse_reference(name)).text());
    }
    images.push_back(std::move(image));
  });
  return images;
}

DockerArchiveSource::DockerArchiveSource(std::shared_ptr<TarIndex> archive, const DockerArchiveImage& image)
    : archive_(std::move(archive)),
      description_(fmt::format("docker-archive:{}{}{}", archive_->name(), image.names.empty() ? "" : ":",
                               image.names.empty() ? "" : image.names.front())) {
  const std::string config_text = archive_->read(image.config, kConfigLimit);
  const ImageConfig config = parse_config(config_text, "config of " + description_);
  Manifest manifest{.config = {.media_type = std::string(media::kConfig), .digest = digest_of(config_text), .size = config_text.size()}};
  if (image.layers.size() != config.diff_ids.size()) {
    throw fail("{} has {} layers, but its config says {}", description_, image.layers.size(), config.diff_ids.size());
  }
  members_[manifest.config.digest.text()] = image.config;
  for (size_t i = 0; i < image.layers.size(); ++i) {
    manifest.layers.push_back(describe_layer(image.layers[i], config.diff_ids[i]));
    members_[manifest.layers.back().digest.text()] = image.layers[i];
  }
  manifest_ = write_manifest(manifest);
}

// A plain layer's digest must be its diff_id, which the reader verifies; a compressed one's has to be found out.
Descriptor DockerArchiveSource::describe_layer(const std::string& member, const Digest& diff_id) {
  std::string_view type = media::kLayer;
  Hasher hasher;
  bool first = true;
  bool packed = false;
  struct Enough {};
  try {
    archive_->read(member, [&](std::string_view bytes) {
      if (first) {
        first = false;
        type = bytes.starts_with(kGzipMagic) ? media::kLayerGzip : bytes.starts_with(kZstdMagic) ? media::kLayerZstd : media::kLayer;
        packed = type != media::kLayer;
      }
      if (!packed) {
        throw Enough();
      }
      hasher.update(bytes);
    });
  } catch (const Enough&) {  // a plain layer
  }
  return {.media_type = std::string(type), .digest = packed ? hasher.finish() : diff_id, .size = archive_->size(member)};
}

std::optional<FetchedManifest> DockerArchiveSource::root(const std::optional<Digest>& known) {
  const Digest digest = digest_of(manifest_);
  if (known && *known == digest) {
    return std::nullopt;
  }
  return FetchedManifest{manifest_, std::string(media::kManifest), digest};
}

FetchedManifest DockerArchiveSource::document(const Descriptor& descriptor) {
  throw fail("{} has no manifest {}", description_, descriptor.digest.text());
}

void DockerArchiveSource::fetch(const Descriptor& descriptor, const Take& take) {
  const auto member = members_.find(descriptor.digest.text());
  if (member == members_.end()) {
    throw fail("{} has no {}", description_, descriptor.digest.text());
  }
  archive_->read(member->second, take);
}

DockerArchiveDestination::DockerArchiveDestination(const std::string& path, const std::string& temporary_directory)
    : writer_(path, temporary_directory) {}

bool DockerArchiveDestination::has(const Descriptor& blob) { return members_.contains(blob.digest.text()); }

void DockerArchiveDestination::put(const Descriptor& blob, const Open& open) {
  const Read read = open();
  std::string buffer(kBuffer, '\0');
  const bool is_config = blob.media_type == media::kConfig || blob.media_type == media::kDockerConfig;
  if (is_config && blob.size <= kConfigLimit) {
    std::string text;
    while (const size_t got = read(buffer)) {
      text.append(buffer, 0, got);
    }
    const std::string member = blob.digest.hex() + ".json";
    members_[blob.digest.text()] = member;
    if (written_.insert(member).second) {
      writer_.add(member, text);
    }
    return;
  }
  // The member is named by the blob: its diff_id is known only when it has been unpacked.
  const std::string member = blob.digest.hex() + ".tar";
  writer_.add(member, [&](const ArchiveWriter::Put& write) {
    Inflater inflater(fast_gunzip, write);
    while (const size_t got = read(buffer)) {
      inflater.write(std::string_view(buffer).substr(0, got));
    }
    inflater.finish();
  });
  members_[blob.digest.text()] = member;
}

void DockerArchiveDestination::put_stream(const Open&, const std::function<Digest()>&) {
  throw Error("the layers of a docker-archive are not compressed");
}

void DockerArchiveDestination::put_document(const std::string& text, const Descriptor& descriptor, Role role) {
  if (role != Role::kRoot || is_index_type(descriptor.media_type)) {
    throw Error("a docker-archive holds images for one platform each", "choose one with --platform, or use oci-archive");
  }
  const Manifest manifest = parse_manifest(text, "manifest", descriptor.media_type);
  DockerArchiveImage image{.config = members_.at(manifest.config.digest.text()), .layers = {}, .names = names_};
  for (const Descriptor& layer : manifest.layers) {
    image.layers.push_back(members_.at(layer.digest.text()));
  }
  images_.push_back(std::move(image));
}

void DockerArchiveDestination::close() {
  json::Value list = json::Value::array();
  for (const DockerArchiveImage& image : images_) {
    json::Value entry = json::Value::object();
    entry["Config"] = image.config;
    entry["RepoTags"] = image.names;
    entry["Layers"] = image.layers;
    list.push_back(std::move(entry));
  }
  writer_.add("manifest.json", json::dump(list));
  writer_.finish();
}

}  // namespace jigsaw::image
