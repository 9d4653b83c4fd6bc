// docker-archive: what `docker save` and `podman save` write and `docker load` reads.
//
//     manifest.json   [{"Config": "<hex>.json", "RepoTags": ["a:1"], "Layers": ["<hex>.tar", …]}]
//     <hex>.json      the image config
//     <hex>.tar       each layer, plain, named by its diff_id
//
// moby/image/spec/v1.2.md. There is no OCI manifest inside: reading makes one from what is there.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "image/archive_writer.h"
#include "image/destination.h"
#include "image/source.h"
#include "image/tar_index.h"

namespace jigsaw::image {

struct DockerArchiveImage {
  std::string config;               // member names
  std::vector<std::string> layers;  // bottom first
  std::vector<std::string> names;   // "docker.io/library/alpine:3"
};
std::vector<DockerArchiveImage> docker_archive_images(const TarIndex& archive);

class DockerArchiveSource : public Source {
 public:
  DockerArchiveSource(std::shared_ptr<TarIndex> archive, const DockerArchiveImage& image);
  std::optional<FetchedManifest> root(const std::optional<Digest>& known) override;
  FetchedManifest document(const Descriptor& descriptor) override;
  void fetch(const Descriptor& descriptor, const Take& take) override;
  std::string description() const override { return description_; }

 private:
  Descriptor describe_layer(const std::string& member, const Digest& diff_id);
  std::shared_ptr<TarIndex> archive_;
  std::string description_;
  std::string manifest_;
  std::map<std::string, std::string> members_;  // digest -> member
};

class DockerArchiveDestination : public Destination {
 public:
  DockerArchiveDestination(const std::string& path, const std::string& temporary_directory);
  // The names of the image that comes next.
  void set_names(std::vector<std::string> names) { names_ = std::move(names); }
  bool has(const Descriptor& blob) override;
  void put(const Descriptor& blob, const Open& open) override;
  void put_stream(const Open& open, const std::function<Digest()>& finished) override;
  void put_document(const std::string& text, const Descriptor& descriptor, Role role) override;
  bool takes_compressed() const override { return false; }
  // Once, after all images.
  void close();

 private:
  ArchiveWriter writer_;
  std::vector<std::string> names_;
  std::map<std::string, std::string> members_;  // digest of a blob -> member
  std::set<std::string> written_;
  std::vector<DockerArchiveImage> images_;
};

}  // namespace jigsaw::image
