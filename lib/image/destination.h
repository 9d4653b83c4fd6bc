// Destination: where an image goes to: a registry, an image layout, an archive. Blobs first, then the manifests that name
// them, and last of all the root document under its name: nobody ever sees an image with a part missing.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "image/compress.h"
#include "image/manifest.h"
#include "image/registry.h"

namespace jigsaw::image {

class Destination {
 public:
  virtual ~Destination() = default;
  using Read = Registry::Read;
  using Open = Registry::Open;

  virtual bool has(const Descriptor& blob) = 0;
  // Exactly blob.size bytes with blob.digest; `open` may be called again after a failure.
  virtual void put(const Descriptor& blob, const Open& open) = 0;
  // Bytes whose digest and size are known only at their end: `finished` tells the digest then.
  virtual void put_stream(const Open& open, const std::function<Digest()>& finished) = 0;
  // A manifest or index: `root` is the one that gets the destination's name.
  enum class Role { kPart, kRoot };
  virtual void put_document(const std::string& text, const Descriptor& descriptor, Role role) = 0;
  // After the last one.
  virtual void finish() {}
  // Whether layers may be sent compressed, and several at once.
  virtual bool takes_compressed() const { return true; }
  virtual size_t at_once() const { return 1; }
};

class RegistryDestination : public Destination {
 public:
  struct Options {
    RegistryOptions registry;
    uint64_t chunk = 0;                     // bytes of a PATCH; 0: each blob in one PUT
    std::vector<std::string> mount_from{};  // repositories of the same registry that may hold blobs already
  };
  RegistryDestination(const Reference& reference, const Options& options);
  bool has(const Descriptor& blob) override;
  void put(const Descriptor& blob, const Open& open) override;
  void put_stream(const Open& open, const std::function<Digest()>& finished) override;
  void put_document(const std::string& text, const Descriptor& descriptor, Role role) override;
  size_t at_once() const override { return 3; }

 private:
  Reference reference_;
  Options options_;
  Registry registry_;
};

}  // namespace jigsaw::image
