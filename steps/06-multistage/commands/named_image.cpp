#include "base/error.h"
#include "base/text.h"
#include "commands/image_commands.h"
#include "image/embedded.h"
#include "image/reference.h"

namespace jigsaw::commands {

image::Store open_store() { return image::Store::open(paths().root); }

std::string full_name(const std::string& text) { return image::with_default_tag(image::parse_reference(text)).text(); }

std::string short_name(const std::string& full) {
  try {
    return full.empty() ? full : image::familiar(image::parse_reference(full));
  } catch (const Error&) {
    return full;  // a name that another program gave
  }
}

image::Tag named_image(const image::Store& store, const std::string& text) {
  if (const auto tag = store.find(text)) {
    return *tag;
  }
  std::string full;
  try {
    full = full_name(text);
  } catch (const Error&) {
    if (!image::as_identifier(text)) {
      throw;
    }
  }
  if (const auto tag = full.empty() ? std::nullopt : store.find(full)) {
    return *tag;
  }
  if (full == image::kEmbeddedName) {
    return image::Tag{.name = full, .descriptor = image::add_embedded(store)};
  }
  std::vector<std::string> names;
  for (const image::Tag& tag : store.tags()) {
    if (!tag.name.empty()) {
      names.push_back(short_name(tag.name));
    }
  }
  throw Error(fmt::format("no such image: {}{}", text::quoted(text), text::did_you_mean(text, names)),
              fmt::format("fetch it with: jigsaw pull {}", text::printable_line(text)));
}

}  // namespace jigsaw::commands
