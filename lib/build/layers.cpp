#include "build/layers.h"

#include <sys/stat.h>

#include "base/error.h"
#include "base/interruption.h"
#include "image/layer_create.h"

namespace jigsaw::build {

Layer seal_layer(const image::Store& store, const std::string& upper, const std::vector<image::LayerDirectory>& parents,
                 const std::optional<timespec>& epoch) {
  image::CreateOptions options;
  if (epoch) {
    options.newest = epoch->tv_sec;
  }
  image::BlobWriter blob = store.new_blob();
  image::create_layer(upper, options, [&](std::string_view bytes) {
    Interruption::check();
    blob.write(bytes);
  });
  const uint64_t size = blob.size();
  const image::Digest digest = blob.commit();
  return {store.adopt_layer(upper, digest, parents),
          {.media_type = std::string(image::media::kLayer), .digest = digest, .size = size}};
}

void make_shown_directory(const std::string& path) {
  check(::mkdir(path.c_str(), 0755), "make directory {}", path);
  check(::chmod(path.c_str(), 0755), "change the mode of {}", path);
}

}  // namespace jigsaw::build
