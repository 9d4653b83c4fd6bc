// Names and what they stand for: index.json, manifests, configs.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "image/store.h"

namespace jigsaw::image {
namespace {

std::string name_of(const Descriptor& descriptor) {
  const auto found = descriptor.annotations.find(std::string(kRefNameAnnotation));
  return found == descriptor.annotations.end() ? "" : found->second;
}

bool is_hex_prefix(std::string_view text) {
  return text.size() >= 2 && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

// "registry/name:tag" and "registry/name@digest" without their ends.
std::string_view repository_of(std::string_view name) {
  name = name.substr(0, name.find('@'));
  const size_t slash = name.rfind('/');
  const size_t colon = name.rfind(':');
  return colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash) ? name.substr(0, colon)
                                                                                                 : name;
}

}  // namespace

Index Store::read_index() const {
  const std::string path = root_ + "/index.json";
  const auto text = files::read_if_exists(path, kIndexLimit);
  return text ? parse_index(*text, path) : Index{.manifests = {}};
}

void Store::update_index(const std::function<void(Index&)>& change) const {
  const files::Lock lock = files::Lock::take(root_ + "/locks/index");
  Index index = read_index();
  const std::string before = write_index(index);
  change(index);
  if (const std::string after = write_index(index); after != before) {
    files::replace(root_ + "/index.json", after, {.mode = 0644});
  }
}

std::vector<Tag> Store::tags() const {
  std::vector<Tag> result;
  for (Descriptor& descriptor : read_index().manifests) {
    std::string name = name_of(descriptor);
    result.push_back(Tag{.name = std::move(name), .descriptor = std::move(descriptor)});
  }
  return result;
}

void Store::tag(const std::string& name, const Descriptor& descriptor) const {
  update_index([&](Index& index) {
    Descriptor entry = descriptor;
    const std::string key(kRefNameAnnotation);
    entry.annotations.erase(key);
    auto& list = index.manifests;
    const auto has_digest = [&](const Descriptor& each) { return each.digest == descriptor.digest; };
    if (name.empty()) {
      if (std::none_of(list.begin(), list.end(), has_digest)) {
        list.push_back(entry);
      }
      return;
    }
    entry.annotations[key] = name;
    const auto old = std::find_if(list.begin(), list.end(), [&](const Descriptor& each) { return name_of(each) == name; });
    if (old != list.end() && has_digest(*old)) {
      *old = entry;  // the index that it came from may be another one now
      return;
    }
    if (old != list.end()) {  // the image that had the name stays, without one
      const Digest previous = old->digest;
      const auto same = [&](const Descriptor& each) { return each.digest == previous; };
      if (std::count_if(list.begin(), list.end(), same) > 1) {
        list.erase(old);
      } else {
        old->annotations.erase(key);
      }
    }
    std::erase_if(list, [&](const Descriptor& each) { return has_digest(each) && name_of(each).empty(); });
    list.push_back(entry);
  });
}

bool Store::untag(const std::string& name) const {
  bool found = false;
  update_index([&](Index& index) {
    found = std::erase_if(index.manifests, [&](const Descriptor& each) { return name_of(each) == name; }) > 0;
  });
  return found;
}

void Store::remove_image(const Digest& manifest) const {
  update_index([&](Index& index) {
    std::erase_if(index.manifests, [&](const Descriptor& each) { return each.digest == manifest; });
  });
}

std::optional<Tag> Store::find(std::string_view wanted) const {
  const std::vector<Tag> all = tags();
  for (const Tag& each : all) {
    if (!each.name.empty() && each.name == wanted) {
      return each;
    }
  }
  if (const size_t at = wanted.find('@'); at != std::string_view::npos) {
    for (const Tag& each : all) {
      if (each.descriptor.digest.text() == wanted.substr(at + 1) && repository_of(each.name) == repository_of(wanted)) {
        return each;
      }
    }
    return std::nullopt;
  }
  std::string_view prefix = wanted;
  if (prefix.starts_with("sha256:")) {
    prefix.remove_prefix(7);
  }
  if (!is_hex_prefix(prefix)) {
    return std::nullopt;
  }
  std::optional<Tag> found;
  std::optional<Digest> found_id;
  for (const Tag& each : all) {
    std::optional<Digest> id;
    try {
      id = read_image(each.descriptor, each.name).id();
    } catch (const Error&) {
      // A broken image can still be named by its manifest's digest, to remove it.
    }
    if (!each.descriptor.digest.hex().starts_with(prefix) && !(id && id->hex().starts_with(prefix))) {
      continue;
    }
    const Digest& identity = id ? *id : each.descriptor.digest;
    if (found && found_id != identity) {
      throw Error(fmt::format("{} stands for more than one image", wanted), "write more of its digits");
    }
    if (!found || found->name.empty()) {
      found = each;
      found_id = identity;
    }
  }
  return found;
}

Image Store::read_image(const Descriptor& descriptor, std::string_view name, const Platform& platform) const {
  const std::string shown = fmt::format("manifest of {}", name.empty() ? descriptor.digest.text() : std::string(name));
  std::string text = read_blob(descriptor, kManifestLimit);
  Descriptor chosen = descriptor;
  for (int depth = 0; classify(text, shown, chosen.media_type) == DocumentKind::kIndex; ++depth) {
    if (depth == 4) {
      throw fail("{}: more than four indexes within one another", shown);
    }
    const auto fitting = choose_platform(parse_index(text, shown, chosen.media_type), platform);
    if (!fitting) {
      throw Error(fmt::format("{} has no image for {}", name, platform_text(platform)),
                  "choose one that it has with --platform");
    }
    chosen = *fitting;
    text = read_blob(chosen, kManifestLimit);
  }
  Manifest manifest = parse_manifest(text, shown, chosen.media_type);
  std::string config_text = read_blob(manifest.config, kConfigLimit);
  ImageConfig config = parse_config(config_text, fmt::format("config of {}", name));
  check_agreement(manifest, config, name);
  return Image{.name = std::string(name),
               .descriptor = std::move(chosen),
               .manifest = std::move(manifest),
               .config = std::move(config),
               .config_text = std::move(config_text)};
}

Image Store::image(std::string_view name_or_id) const {
  const auto found = find(name_or_id);
  if (!found) {
    throw Error(fmt::format("no such image: {}", name_or_id), "jigsaw images lists what is here; jigsaw pull fetches more");
  }
  return read_image(found->descriptor, found->name.empty() ? std::string(name_or_id) : found->name);
}

}  // namespace jigsaw::image
