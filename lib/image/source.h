// Source: where an image comes from: a registry, an image layout, an archive, the store itself. What it hands out is
// not trusted: whoever reads verifies digest and size.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "image/manifest.h"
#include "image/registry.h"

namespace jigsaw::image {

class Source {
 public:
  virtual ~Source() = default;
  // The document that the name stands for: a manifest or an index. Nothing if it still is the one `known`.
  virtual std::optional<FetchedManifest> root(const std::optional<Digest>& known) = 0;
  // A manifest that an index names, verified.
  virtual FetchedManifest document(const Descriptor& descriptor) = 0;
  // Exactly descriptor.size bytes, in order, or an Error. May be called by several threads.
  using Take = std::function<void(std::string_view)>;
  virtual void fetch(const Descriptor& descriptor, const Take& take) = 0;
  // The same from `offset` on. Worth keeping half a blob for, if is_far().
  virtual void fetch_rest(const Descriptor& descriptor, uint64_t offset, const Take& take);
  // The file that the blob is, read from its beginning; nothing if it is none by itself.
  virtual Fd open(const Descriptor&) { return {}; }
  virtual bool is_far() const { return false; }
  virtual std::string description() const = 0;  // "docker.io/library/alpine:3", "oci:dir:tag"
};

// A small blob (a config), verified.
std::string fetch_text(Source& source, const Descriptor& descriptor, size_t limit);

class RegistrySource : public Source {
 public:
  RegistrySource(const Reference& reference, const RegistryOptions& options);
  std::optional<FetchedManifest> root(const std::optional<Digest>& known) override;
  FetchedManifest document(const Descriptor& descriptor) override;
  void fetch(const Descriptor& descriptor, const Take& take) override;
  void fetch_rest(const Descriptor& descriptor, uint64_t offset, const Take& take) override;
  bool is_far() const override { return true; }
  std::string description() const override { return reference_.text(); }

 private:
  Reference reference_;
  Registry registry_;
};

}  // namespace jigsaw::image
