#include "image/names.h"

#include "base/error.h"
#include "base/text.h"
#include "image/embedded.h"
#include "image/reference.h"

namespace jigsaw::image {
namespace {

std::optional<std::string> as_full_name(const std::string& text) {
  try {
    return full_name(text);
  } catch (const Error&) {
    return std::nullopt;  // an id, or nonsense: the caller says which
  }
}

}  // namespace

std::string full_name(const std::string& text) { return with_default_tag(parse_reference(text)).text(); }

std::string short_name(const std::string& full) {
  try {
    return full.empty() ? full : familiar(parse_reference(full));
  } catch (const Error&) {
    return full;
  }
}

bool is_embedded(const std::string& text) { return as_full_name(text) == kEmbeddedName; }

std::optional<Tag> find_named(const Store& store, const std::string& text) {
  if (const auto full = as_full_name(text)) {
    if (auto tag = store.find(*full)) {
      return tag;
    }
    if (*full == kEmbeddedName) {
      return Tag{.name = *full, .descriptor = add_embedded(store)};
    }
  }
  return store.find(text);
}

Tag named(const Store& store, const std::string& text, const std::string& hint) {
  if (auto tag = find_named(store, text)) {
    return *tag;
  }
  if (!as_identifier(text)) {
    parse_reference(text);  // throws what is wrong with it
  }
  std::vector<std::string> names;
  for (const Tag& tag : store.tags()) {
    if (!tag.name.empty()) {
      names.push_back(short_name(tag.name));
    }
  }
  throw Error(fmt::format("no such image: {}{}", text::quoted(text), text::did_you_mean(text, names)),
              hint.empty() ? fmt::format("fetch it with: jigsaw pull {}", text::printable_line(text)) : hint);
}

Image named_image(const Store& store, const std::string& text) {
  const Tag tag = named(store, text);
  return store.read_image(tag.descriptor, tag.name.empty() ? text : tag.name);
}

}  // namespace jigsaw::image
