// Any text as an image reference: what is accepted must come out of its own text again.
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "image/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace jigsaw;
  try {
    const image::Reference reference = image::parse_reference({reinterpret_cast<const char*>(data), size});
    if (image::parse_reference(reference.text()) != reference || reference.repository.find("..") != std::string::npos) {
      std::abort();
    }
    image::familiar(image::with_default_tag(reference));
  } catch (const Error&) {
  }
  return 0;
}
