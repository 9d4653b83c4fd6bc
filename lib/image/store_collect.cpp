// Clean-up: mark what tags and roots need, sweep the rest.
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/store.h"

namespace jigsaw::image {
namespace {

// Names of roots become file names.
std::string root_file(const std::string& store, const std::string& name) {
  const bool valid = !name.empty() && name.size() <= 200 && name[0] != '.' && name.find('/') == std::string::npos;
  if (!valid) {
    throw fail("{} can't be the name of a root", text::quoted(name));
  }
  return fmt::format("{}/roots/{}", store, name);
}

std::vector<std::string> texts_of(const std::vector<Digest>& digests) {
  std::vector<std::string> result;
  for (const Digest& digest : digests) {
    result.push_back(digest.text());
  }
  return result;
}

uint64_t size_of(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

std::optional<uint64_t> layer_bytes(const std::string& directory) {
  const auto text = files::read_if_exists(directory + "/layer.json");
  if (!text) {
    return std::nullopt;
  }
  const json::Document document(*text, directory + "/layer.json");
  return document.root().at("bytes").unsigned_integer();
}

// What files::replace() was writing when it was killed.
bool is_leftover(const std::string& name) { return name.find(".tmp-") != std::string::npos; }

}  // namespace

struct Store::Marked {
  std::set<std::string> blobs;   // "sha256/<hex>"
  std::set<std::string> layers;  // keys

  void blob(const Digest& digest) { blobs.insert(fmt::format("{}/{}", digest.algorithm_name(), digest.hex())); }
};

void Store::mark_image(const Descriptor& descriptor, Marked& marked, int depth) const {
  marked.blob(descriptor.digest);
  if (depth > 4 || !has_blob(descriptor.digest)) {
    return;
  }
  try {
    const std::string text = read_blob(descriptor, kManifestLimit);
    const std::string name = descriptor.digest.text();
    if (classify(text, name, descriptor.media_type) == DocumentKind::kIndex) {
      for (const Descriptor& each : parse_index(text, name, descriptor.media_type).manifests) {
        mark_image(each, marked, depth + 1);
      }
      return;
    }
    const Manifest manifest = parse_manifest(text, name, descriptor.media_type);
    marked.blob(manifest.config.digest);
    for (const Descriptor& layer : manifest.layers) {
      marked.blob(layer.digest);
    }
    const ImageConfig config = parse_config(read_blob(manifest.config, kConfigLimit), name);
    for (const Digest& diff_id : config.diff_ids) {
      marked.layers.insert(diff_id.hex());
    }
    for (const Digest& chain_id : chain_ids(config.diff_ids)) {
      marked.layers.insert(chain_id.hex());
    }
  } catch (const Error&) {
    // A damaged image needs nothing beyond what could be read of it.
  }
}

void Store::mark_roots(Marked& marked) const {
  for (const std::string& name : files::list(root_ + "/roots")) {
    if (is_leftover(name)) {
      continue;
    }
    const auto text = files::read_if_exists(fmt::format("{}/roots/{}", root_, name));
    if (!text || name.starts_with('.')) {
      continue;
    }
    try {
      const json::Document document(*text, name);
      const json::View root = document.root();
      for (const std::string& blob : root.strings_or_none("blobs")) {
        marked.blob(Digest::parse(blob));
      }
      for (const std::string& key : root.strings_or_none("layers")) {
        marked.layers.insert(key);
      }
      for (const std::string& image : root.strings_or_none("images")) {
        const Digest digest = Digest::parse(image);
        mark_image(Descriptor{.media_type = "", .digest = digest, .size = size_of(blob_path(digest))}, marked, 0);
      }
    } catch (const Error&) {
      // Roots are not synced: this one was written shortly before a power cut, and who wrote it is gone.
    }
  }
}

Store::Marked Store::mark() const {
  Marked marked;
  for (const Tag& tag : tags()) {
    mark_image(tag.descriptor, marked, 0);
  }
  mark_roots(marked);
  return marked;
}

void Store::hold(const std::string& name, const Root& root) const {
  files::replace(root_file(root_, name),
                 json::dump(json::Value{{"images", texts_of(root.images)}, {"blobs", texts_of(root.blobs)}, {"layers", root.layers}}),
                 {.mode = 0644, .sync = false});
}

void Store::hold_as(const std::string& name, const std::string& file) const {
  check(::link(file.c_str(), root_file(root_, name).c_str()), "hold what {} names", file);
}

void Store::release(const std::string& name) const { files::remove_tree(root_file(root_, name)); }

Store::Collected Store::sweep(const Marked& marked, bool remove) const {
  Collected result;
  for (const std::string& name : files::list(root_ + "/roots")) {
    if (remove && is_leftover(name)) {
      files::remove_tree(fmt::format("{}/roots/{}", root_, name));
    }
  }
  for (const std::string& algorithm : files::list(root_ + "/blobs")) {
    for (const std::string& hex : files::list(fmt::format("{}/blobs/{}", root_, algorithm))) {
      if (marked.blobs.contains(fmt::format("{}/{}", algorithm, hex))) {
        continue;
      }
      const std::string path = fmt::format("{}/blobs/{}/{}", root_, algorithm, hex);
      ++result.blobs;
      result.bytes += size_of(path);
      if (remove) {
        files::remove_tree(path);
      }
    }
  }
  for (const std::string& key : files::list(root_ + "/layers")) {
    if (marked.layers.contains(key)) {
      continue;
    }
    const std::string path = fmt::format("{}/layers/{}", root_, key);
    ++result.layers;
    result.bytes += layer_bytes(path).value_or(0);
    if (remove) {
      // Renamed first: a layer is there whole or not at all.
      const std::string grave = fmt::format("{}/dead-{}", temporary_directory(), files::random_hex(8));
      check(::rename(path.c_str(), grave.c_str()), "rename {} to {}", path, grave);
      files::remove_tree(grave);
    }
  }
  return result;
}

void Store::remove_temporaries() const {
  for (const std::string& leftover : files::list(temporary_directory())) {
    files::remove_tree(fmt::format("{}/{}", temporary_directory(), leftover));
  }
}

files::Lock Store::use_to_add() const {
  if (!files::list(temporary_directory()).empty()) {
    if (const auto alone = files::Lock::try_take(root_ + "/locks/use")) {
      remove_temporaries();
    }
  }
  return use();
}

std::optional<Store::Collected> Store::collect(Wait wait) const {
  const std::string path = root_ + "/locks/use";
  std::optional<files::Lock> alone = wait == Wait::kYes ? std::optional(files::Lock::take(path)) : files::Lock::try_take(path);
  if (!alone) {
    return std::nullopt;
  }
  const files::Lock index = files::Lock::take(root_ + "/locks/index");
  remove_temporaries();
  files::remove_tree(root_ + "/partial");
  for (const std::string& lock : files::list(root_ + "/locks")) {
    if (lock.starts_with("content-")) {
      files::remove_tree(fmt::format("{}/locks/{}", root_, lock));
    }
  }
  return sweep(mark(), true);
}

std::vector<uint64_t> Store::layer_sizes(const Image& image) const {
  std::vector<uint64_t> sizes;
  const std::vector<Digest> chained = chain_ids(image.config.diff_ids);
  for (size_t i = 0; i < image.manifest.layers.size(); ++i) {
    auto bytes = layer_bytes(fmt::format("{}/layers/{}", root_, image.config.diff_ids[i].hex()));
    if (!bytes) {
      bytes = layer_bytes(fmt::format("{}/layers/{}", root_, chained[i].hex()));
    }
    sizes.push_back(bytes.value_or(image.manifest.layers[i].size));
  }
  return sizes;
}

uint64_t Store::size(const Image& image) const {
  const std::vector<uint64_t> sizes = layer_sizes(image);
  return std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
}

Store::Usage Store::usage() const {
  Usage result;
  for (const std::string& algorithm : files::list(root_ + "/blobs")) {
    for (const std::string& hex : files::list(fmt::format("{}/blobs/{}", root_, algorithm))) {
      result.blob_bytes += size_of(fmt::format("{}/blobs/{}/{}", root_, algorithm, hex));
      ++result.blobs;
    }
  }
  for (const std::string& key : files::list(root_ + "/layers")) {
    result.layer_bytes += layer_bytes(fmt::format("{}/layers/{}", root_, key)).value_or(0);
    ++result.layers;
  }
  result.reclaimable = sweep(mark(), false).bytes;
  return result;
}

}  // namespace jigsaw::image
