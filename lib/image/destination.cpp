#include "image/destination.h"

namespace jigsaw::image {

RegistryDestination::RegistryDestination(const Reference& reference, const Options& options)
    : reference_(with_default_tag(reference)), options_(options),
      registry_(reference_, Registry::Access::kPush, options.registry) {}

bool RegistryDestination::has(const Descriptor& blob) {
  if (registry_.has_blob(blob.digest)) {
    return true;
  }
  for (const std::string& repository : options_.mount_from) {
    if (repository != reference_.repository && registry_.mount_blob(blob.digest, repository)) {
      return true;
    }
  }
  return false;
}

void RegistryDestination::put(const Descriptor& blob, const Open& open) { registry_.upload(blob, open, options_.chunk); }

void RegistryDestination::put_stream(const Open& open, const std::function<Digest()>& finished) {
  registry_.upload_stream(open, finished);
}

void RegistryDestination::put_document(const std::string& text, const Descriptor& descriptor, Role role) {
  const bool named = role == Role::kRoot && !reference_.tag.empty();
  registry_.put_manifest(text, descriptor.media_type, named ? reference_.tag : descriptor.digest.text());
}

}  // namespace jigsaw::image
