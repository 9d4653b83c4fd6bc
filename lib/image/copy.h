// Copy: an image from a source to a destination, as it is, or with its plain layers compressed. push, save and copy are
// all this; pull and load, whose destination is the store, are in pull.h.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/progress.h"
#include "image/destination.h"
#include "image/source.h"
#include "image/store.h"

namespace jigsaw::image {

struct CopyOptions {
  std::optional<Platform> platform;  // of an index, the image for this one; nothing: this machine's
  enum class Platforms { kOne, kAll } platforms = Platforms::kOne;  // kAll: an index is copied whole
  // What plain layers become; compressed ones stay as they are. kNone: nothing.
  Compression compression = Compression::kNone;
  const Store* store = nullptr;  // remembers what a layer compressed to, so that the next push need not
  progress::Reporter* progress = nullptr;
};

// Returns the digest of what now has the destination's name.
Digest copy(Source& source, Destination& destination, const CopyOptions& options);

// An image of the store, as a source.
class StoreSource : public Source {
 public:
  StoreSource(const Store& store, const Image& image) : store_(store), image_(image) {}
  std::optional<FetchedManifest> root(const std::optional<Digest>& known) override;
  FetchedManifest document(const Descriptor& descriptor) override;
  void fetch(const Descriptor& descriptor, const Take& take) override;
  Fd open(const Descriptor& descriptor) override;
  std::string description() const override { return image_.name.empty() ? image_.id().text() : image_.name; }

 private:
  const Store& store_;
  Image image_;
};

// Several images of the store, one for each platform, as one index.
class IndexSource : public Source {
 public:
  IndexSource(const Store& store, const std::vector<Image>& images);
  std::optional<FetchedManifest> root(const std::optional<Digest>& known) override;
  FetchedManifest document(const Descriptor& descriptor) override;
  void fetch(const Descriptor& descriptor, const Take& take) override;
  Fd open(const Descriptor& descriptor) override;
  std::string description() const override { return "an index of several images"; }

 private:
  const Store& store_;
  std::string text_;
};

// Reads a blob of a source piece by piece: from its file, or from a fetch that runs in a thread of its own. The last bytes
// are handed on only if the digest of all of them is right.
Registry::Open open_from(Source& source, const Descriptor& descriptor);

}  // namespace jigsaw::image
