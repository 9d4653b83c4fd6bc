#include "engine/images.h"

#include "base/error.h"
#include "base/text.h"
#include "image/embedded.h"
#include "image/reference.h"

namespace jigsaw::engine {
namespace {

std::optional<image::Reference> as_reference(const std::string& text) {
  try {
    return image::with_default_tag(image::parse_reference(text));
  } catch (const Error&) {
    return std::nullopt;  // an id, or nonsense: the caller says which
  }
}

}  // namespace

bool is_built_in(const std::string& text) {
  const auto reference = as_reference(text);
  return reference && reference->text() == image::kEmbeddedName;
}

std::optional<image::Tag> find_image(const image::Store& store, const std::string& text) {
  if (const auto reference = as_reference(text)) {
    if (auto tag = store.find(reference->text())) {
      return tag;
    }
    if (reference->text() == image::kEmbeddedName) {
      image::add_embedded(store);
      return store.find(reference->text());
    }
  }
  return store.find(text);
}

image::Image get_image(const image::Store& store, const std::string& text) {
  if (const auto tag = find_image(store, text)) {
    return store.read_image(tag->descriptor, text);
  }
  std::vector<std::string> names;
  for (const image::Tag& tag : store.tags()) {
    if (!tag.name.empty()) {
      names.push_back(image::familiar(image::parse_reference(tag.name)));
    }
  }
  if (!as_reference(text)) {
    image::parse_reference(text);  // throws what is wrong with it
  }
  throw Error(fmt::format("no such image: {}{}", text::quoted(text), text::did_you_mean(text, names)),
              fmt::format("fetch it with: jigsaw pull {}", text));
}

}  // namespace jigsaw::engine
