#include "image/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "image/decompress.h"

namespace jigsaw::image {
namespace {

std::string read_verified(const std::string& layout, const Descriptor& descriptor, size_t limit) {
  const std::string path = fmt::format("{}/blobs/{}/{}", layout, descriptor.digest.algorithm_name(), descriptor.digest.hex());
  if (descriptor.size > limit) {
    throw fail("{} says it has {} bytes; at most {} are read", descriptor.digest.text(), descriptor.size, limit);
  }
  std::string text = files::read(path, limit);
  if (text.size() != descriptor.size) {
    throw fail("{} has {} bytes, not {} as its descriptor says", descriptor.digest.text(), text.size(), descriptor.size);
  }
  if (const Digest real = digest_of(text, descriptor.digest.algorithm()); real != descriptor.digest) {
    throw fail("the content of {} has another digest: {}", descriptor.digest.text(), real.text());
  }
  return text;
}

// "v1" of "registry/name:v1", for those who name an image by its tag alone.
std::string_view short_tag(std::string_view name) {
  const size_t colon = name.rfind(':');
  return colon == std::string_view::npos || name.find('/', colon) != std::string_view::npos ? "" : name.substr(colon + 1);
}

Descriptor choose_digest(const Index& index, const std::string& layout, const Digest& digest) {
  for (const Descriptor& each : index.manifests) {
    if (each.digest == digest) {
      return each;
    }
  }
  // One that an index of the layout names, say.
  struct stat status {};
  const std::string path = fmt::format("{}/blobs/{}/{}", layout, digest.algorithm_name(), digest.hex());
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw fail("{} holds no {}", layout, digest.text());
  }
  return {.media_type = "", .digest = digest, .size = static_cast<uint64_t>(status.st_size)};
}

Descriptor choose_tag(const Index& index, const std::string& layout, std::string_view tag) {
  if (tag.starts_with('@')) {
    return choose_digest(index, layout, Digest::parse(tag.substr(1)));
  }
  std::vector<std::string> names;
  const auto is_exact = [&](const Descriptor& each) {
    const auto name = each.annotations.find(std::string(kRefNameAnnotation));
    return name != each.annotations.end() && name->second == tag;
  };
  const bool exact = std::any_of(index.manifests.begin(), index.manifests.end(), is_exact);
  const std::string_view wanted = tag.empty() ? "latest" : tag;
  std::optional<Descriptor> found;
  for (const Descriptor& each : index.manifests) {
    const auto name = each.annotations.find(std::string(kRefNameAnnotation));
    if (name != each.annotations.end()) {
      names.push_back(name->second);
    }
    const bool is_named = name != each.annotations.end() &&
                          (name->second == wanted || (!exact && short_tag(name->second) == wanted));
    if (!is_named && !(tag.empty() && index.manifests.size() == 1)) {
      continue;
    }
    if (found && found->digest != each.digest) {
      throw fail("{} names two images {}", layout, text::quoted(tag));
    }
    found = each;
  }
  if (!found) {
    throw Error(tag.empty() ? fmt::format("{} holds {} images{}", layout, index.manifests.size(), about_foreign(index))
                            : fmt::format("{} holds no image {}{}", layout, text::quoted(tag), about_foreign(index)),
                names.empty() ? "" : fmt::format("it has {}: write oci:{}:{}", text::join(names, ", "), layout, names[0]));
  }
  return *found;
}

std::string layout_marker(const std::string& directory) {
  const auto marker = files::read_if_exists(directory + "/oci-layout", 4096);
  if (!marker) {
    throw Error(fmt::format("{} is no OCI image layout", directory), "it has no file oci-layout");
  }
  return *marker;
}

// The compressed bytes again while they are read for unpacking would be a second read; layers are read once for the
// blob's digest and once to unpack, and the second one comes from the page cache.
void verify(int fd, const Descriptor& blob) {
  struct stat status {};
  check(::fstat(fd, &status), "stat {}", blob.digest.text());
  if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) != blob.size) {
    throw fail("{} has {} bytes, not {} as its descriptor says", blob.digest.text(), status.st_size, blob.size);
  }
  Hasher hasher(blob.digest.algorithm());
  std::string buffer(256U << 10, '\0');
  for (ssize_t got = 0; (got = check(::read(fd, buffer.data(), buffer.size()), "read {}", blob.digest.text())) > 0;) {
    hasher.update(std::string_view(buffer).substr(0, static_cast<size_t>(got)));
  }
  if (const Digest real = hasher.finish(); real != blob.digest) {
    throw fail("the content of {} has another digest: {}", blob.digest.text(), real.text());
  }
  check(::lseek(fd, 0, SEEK_SET), "seek in {}", blob.digest.text());
}

void unpack_one(const Descriptor& blob, const Digest& diff_id, int fd, const std::string& directory, Privilege privilege) {
  LayerApplier applier(directory, {.form = LayerForm::kPlain, .privilege = privilege, .max_bytes = layer_limit(blob.size)});
  Hasher hasher(diff_id.algorithm());
  read_layer(fd, blob.digest.text(), [&](std::string_view bytes) {
    hasher.update(bytes);
    applier.write(bytes);
  });
  if (const Digest real = hasher.finish(); real != diff_id) {
    throw Error(fmt::format("unpacks to {}, but the config says {}", real.text(), diff_id.text()),
                "manifest and config don't belong together");
  }
  applier.end();
}

}  // namespace

void unpack_image(const Image& image, const BlobOpener& open, const std::string& directory, const UnpackOptions& options) {
  check_agreement(image.manifest, image.config, image.name);
  for (const Descriptor& layer : image.manifest.layers) {
    compression_of(layer.media_type);  // refuses what is no layer before anything is written
  }
  if (!files::exists(directory)) {
    files::make_directories(directory, 0755);
  } else if (!files::is_directory(directory) || !files::list(directory).empty()) {
    throw Error(fmt::format("{} is there already and not an empty directory", directory), "name a new directory");
  }
  // Nothing is unpacked before every blob has been looked at: a broken image leaves an empty directory.
  for (const Descriptor& layer : image.manifest.layers) {
    verify(open(layer).get(), layer);
  }
  try {
    for (size_t i = 0; i < image.manifest.layers.size(); ++i) {
      const Descriptor& layer = image.manifest.layers[i];
      if (options.on_layer) {
        options.on_layer(layer);
      }
      try {
        unpack_one(layer, image.config.diff_ids[i], open(layer).get(), directory, options.privilege);
      } catch (Error& error) {
        throw std::move(error).in("layer " + layer.digest.short_id());
      }
    }
  } catch (...) {
    for (const std::string& name : files::list(directory)) {  // half a root file system helps nobody
      files::remove_tree(fmt::format("{}/{}", directory, name));
    }
    throw;
  }
}

LayoutImage open_layout(const std::string& directory, std::string_view tag, const Platform& platform) {
  check_layout_version(layout_marker(directory), directory);
  const std::string index_path = directory + "/index.json";
  Descriptor chosen = choose_tag(parse_index(files::read(index_path, kIndexLimit), index_path), directory, tag);
  const std::string name = fmt::format("oci:{}{}{}", directory, tag.empty() ? "" : ":", tag);
  std::string text = read_verified(directory, chosen, kManifestLimit);
  for (int depth = 0; classify(text, name, chosen.media_type) == DocumentKind::kIndex; ++depth) {
    if (depth == kMaxIndexDepth) {
      throw fail("{}: more than {} indexes within one another", name, kMaxIndexDepth);
    }
    const Index index = parse_index(text, name, chosen.media_type);
    const auto fitting = choose_platform(index, platform);
    if (!fitting) {
      throw fail("{} has no image for {}{}", name, platform_text(platform), about_foreign(index));
    }
    chosen = *fitting;
    text = read_verified(directory, chosen, kManifestLimit);
  }
  Manifest manifest = parse_manifest(text, name, chosen.media_type);
  check_is_image(manifest, name);
  std::string config_text = read_verified(directory, manifest.config, kConfigLimit);
  ImageConfig config = parse_config(config_text, fmt::format("config of {}", name));
  return LayoutImage{.image = Image{.name = name,
                                    .descriptor = std::move(chosen),
                                    .manifest = std::move(manifest),
                                    .config = std::move(config),
                                    .config_text = std::move(config_text)},
                     .open = [directory](const Descriptor& blob) {
                       return files::open(fmt::format("{}/blobs/{}/{}", directory, blob.digest.algorithm_name(), blob.digest.hex()),
                                          O_RDONLY | O_NONBLOCK);
                     }};
}

}  // namespace jigsaw::image
