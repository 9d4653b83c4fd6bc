#include "image/source.h"

#include <algorithm>

#include "base/error.h"

namespace jigsaw::image {

std::string fetch_text(Source& source, const Descriptor& descriptor, size_t limit) {
  if (descriptor.size > limit) {
    throw fail("{} says it has {} bytes; at most {} are read", descriptor.digest.text(), descriptor.size, limit);
  }
  std::string text;
  source.fetch(descriptor, [&](std::string_view bytes) { text += bytes; });
  if (const Digest real = digest_of(text, descriptor.digest.algorithm()); real != descriptor.digest) {
    throw fail("the content of {} has another digest: {}", descriptor.digest.text(), real.text());
  }
  return text;
}

void Source::fetch_rest(const Descriptor& descriptor, uint64_t offset, const Take& take) {
  fetch(descriptor, [&](std::string_view bytes) {
    const auto skip = static_cast<size_t>(std::min<uint64_t>(offset, bytes.size()));
    offset -= skip;
    take(bytes.substr(skip));
  });
}

RegistrySource::RegistrySource(const Reference& reference, const RegistryOptions& options)
    : reference_(pinned(reference)), registry_(reference_, Registry::Access::kPull, options) {}

std::optional<FetchedManifest> RegistrySource::root(const std::optional<Digest>& known) {
  return registry_.manifest(reference_.digest.empty() ? reference_.tag : reference_.digest, known);
}

FetchedManifest RegistrySource::document(const Descriptor& descriptor) {
  if (descriptor.size > kManifestLimit) {
    throw fail("{} says it has {} bytes; a manifest has at most {}", descriptor.digest.text(), descriptor.size,
               kManifestLimit);
  }
  FetchedManifest found = registry_.manifest(descriptor.digest.text()).value();
  if (found.text.size() != descriptor.size) {
    throw fail("{} has {} bytes, not {} as its descriptor says", descriptor.digest.text(), found.text.size(),
               descriptor.size);
  }
  return found;
}

void RegistrySource::fetch(const Descriptor& descriptor, const Take& take) { registry_.fetch_blob(descriptor, take); }

void RegistrySource::fetch_rest(const Descriptor& descriptor, uint64_t offset, const Take& take) {
  registry_.fetch_blob(descriptor, take, offset);
}

}  // namespace jigsaw::image
