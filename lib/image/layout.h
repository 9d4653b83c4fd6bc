// OCI image layouts, as directories (oci:DIR:TAG) and in a tar (oci-archive:FILE:TAG).
//
//     oci-layout   {"imageLayoutVersion": "1.0.0"}
//     index.json   the named manifests
//     blobs/sha256/<hex>
//
// OCI image spec, image-layout.md.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "image/archive_writer.h"
#include "image/destination.h"
#include "image/source.h"
#include "image/tar_index.h"

namespace jigsaw::image {

// Where the files of a layout are.
class LayoutFiles {
 public:
  virtual ~LayoutFiles() = default;
  virtual std::string text(const std::string& name, size_t limit) = 0;
  virtual void read(const std::string& name, const Source::Take& take) = 0;
};
std::unique_ptr<LayoutFiles> layout_directory(const std::string& directory);
std::unique_ptr<LayoutFiles> layout_archive(std::shared_ptr<TarIndex> archive);

class LayoutSource : public Source {
 public:
  // `tag` "": the only image in it.
  LayoutSource(std::unique_ptr<LayoutFiles> files, std::string tag, std::string description);
  // All entries of index.json, for `load`.
  static Index entries(LayoutFiles& files, const std::string& description);

  std::optional<FetchedManifest> root(const std::optional<Digest>& known) override;
  FetchedManifest document(const Descriptor& descriptor) override;
  void fetch(const Descriptor& descriptor, const Take& take) override;
  std::string description() const override { return description_; }

 private:
  std::unique_ptr<LayoutFiles> files_;
  std::string tag_;
  std::string description_;
};

class LayoutDestination : public Destination {
 public:
  LayoutDestination(std::string directory, std::string tag);
  bool has(const Descriptor& blob) override;
  void put(const Descriptor& blob, const Open& open) override;
  void put_stream(const Open& open, const std::function<Digest()>& finished) override;
  void put_document(const std::string& text, const Descriptor& descriptor, Role role) override;
  size_t at_once() const override { return 2; }

 private:
  std::string blob_path(const Digest& digest) const;
  std::string directory_;
  std::string tag_;
};

class LayoutArchiveDestination : public Destination {
 public:
  LayoutArchiveDestination(const std::string& path, const std::string& temporary_directory);
  // The name of the images from here on: the tag in index.json.
  void set_tag(std::string tag) { tag_ = std::move(tag); }
  bool has(const Descriptor& blob) override { return written_.contains(blob.digest.text()); }
  void put(const Descriptor& blob, const Open& open) override;
  void put_stream(const Open& open, const std::function<Digest()>& finished) override;
  void put_document(const std::string& text, const Descriptor& descriptor, Role role) override;
  bool takes_compressed() const override { return false; }  // a member's name comes before its bytes
  // Once, after all images.
  void close();

 private:
  ArchiveWriter writer_;
  std::set<std::string> written_;
  std::string tag_;
  Index index_;
};

}  // namespace jigsaw::image
