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

// As people write it: "alpine", not "alpine:latest".
std::string plain_name(const std::string& full) {
  constexpr std::string_view kUsual = ":latest";
  std::string name = short_name(full);
  return name.ends_with(kUsual) ? name.substr(0, name.size() - kUsual.size()) : name;
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

std::optional<std::string> nearest_name(const Store& store, const std::string& text) {
  std::vector<std::string> names = {plain_name(std::string(kEmbeddedName))};
  for (const Tag& tag : store.tags()) {
    if (!tag.name.empty()) {
      names.push_back(plain_name(tag.name));
    }
  }
  return text::closest(plain_name(as_full_name(text).value_or(text)), names);
}

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
  const auto near = nearest_name(store, text);
  throw Error(fmt::format("no such image: {}{}", text::quoted(text), near ? fmt::format(", did you mean '{}'?", *near) : ""),
              hint.empty() ? fmt::format("the command 'pull {}' fetches it", text::printable_line(text)) : hint);
}

Image read_tagged(const Store& store, const Tag& tag, const std::string& text) {
  return store.read_image(tag.descriptor, tag.name.empty() ? text : tag.name);
}

Image named_image(const Store& store, const std::string& text) { return read_tagged(store, named(store, text), text); }

}  // namespace jigsaw::image
