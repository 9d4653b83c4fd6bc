// Manifests, indexes and configs from strangers: refused with an Error, or read and written again the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "image/config.h"
#include "image/manifest.h"

using namespace jigsaw;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    if (image::classify(text, "fuzz") == image::DocumentKind::kIndex) {
      image::write_index(image::parse_index(text, "fuzz"));
    } else {
      const std::string written = image::write_manifest(image::parse_manifest(text, "fuzz"));
      if (image::write_manifest(image::parse_manifest(written, "again")) != written) {
        std::abort();
      }
    }
  } catch (const Error&) {
  }
  try {
    const std::string written = image::write_config(image::parse_config(text, "fuzz"));
    if (image::write_config(image::parse_config(written, "again")) != written) {
      std::abort();
    }
  } catch (const Error&) {
  }
  return 0;
}
