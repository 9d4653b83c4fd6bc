// Unpacked layers: found, made below tmp/, renamed to their key.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "image/decompress.h"
#include "image/layer_parents.h"
#include "image/store.h"

namespace jigsaw::image {
namespace {

std::string write_facts(const LayerFacts& facts) {
  return json::dump(json::Value{{"entries", facts.entries},
                                {"bytes", facts.bytes},
                                {"implicit_root", facts.implicit_root},
                                {"opaque_root", facts.opaque_root},
                                {"depends", facts.depends}});
}

LayerFacts read_facts(const std::string& path) {
  const json::Document document(files::read(path), path);
  const json::View root = document.root();
  return LayerFacts{.entries = root.at("entries").unsigned_integer(),
                    .bytes = root.at("bytes").unsigned_integer(),
                    .implicit_root = root.at("implicit_root").boolean(),
                    .opaque_root = root.at("opaque_root").boolean(),
                    .depends = root.at("depends").boolean()};
}

bool has_plain_root(const std::string& directory) {
  struct stat status {};
  check(::stat(directory.c_str(), &status), "stat {}", directory);
  return (status.st_mode & 07777) == 0755 && status.st_uid == ::geteuid() && status.st_gid == ::getegid() &&
         read_xattrs_of(directory).empty();
}

// Bytes in the files below a directory; one with several names counts once.
uint64_t tree_bytes(const std::string& directory) {
  uint64_t total = 0;
  std::set<ino_t> linked;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    struct stat status {};
    check(::lstat(entry.path().c_str(), &status), "stat {}", entry.path().string());
    if (S_ISREG(status.st_mode) && (status.st_nlink == 1 || linked.insert(status.st_ino).second)) {
      total += static_cast<uint64_t>(status.st_size);
    }
  }
  return total;
}

std::string chain_key(const Digest& diff_id, const std::vector<LayerDirectory>& parents) {
  std::vector<Digest> all;
  for (const LayerDirectory& parent : parents) {
    all.push_back(parent.diff_id);
  }
  all.push_back(diff_id);
  return chain_ids(all).back().hex();
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

// Starts over with the parents at hand, in a directory of its own; nothing of it stays if that fails.
std::unique_ptr<LayerApplier> apply_again(const Store& store, const Descriptor& blob, const std::vector<std::string>& below) {
  std::unique_ptr<LayerApplier> applier = store.begin_layer({.max_bytes = layer_limit(blob.size), .parents = below});
  const std::string directory = parent_of(applier->directory());
  try {
    read_layer(store.open_blob(blob.digest).get(), blob.digest.text(), [&](std::string_view bytes) { applier->write(bytes); });
    applier->end();
    applier->finish(below);
  } catch (...) {
    applier.reset();
    files::remove_tree(directory);
    throw;
  }
  return applier;
}

}  // namespace

std::optional<LayerDirectory> Store::find_layer(const Digest& diff_id, const std::vector<LayerDirectory>& parents) const {
  const auto at = [&](const std::string& key) {
    return LayerDirectory{diff_id, key, fmt::format("{}/layers/{}/diff", root_, key)};
  };
  LayerDirectory alone = at(diff_id.hex());
  const std::string facts_path = fmt::format("{}/layers/{}/layer.json", root_, alone.key);
  if (files::exists(facts_path)) {
    const LayerFacts facts = read_facts(facts_path);
    alone.opaque_root = facts.opaque_root;
    if (parents.empty() || (!facts.depends && (!facts.implicit_root || has_plain_root(parents.back().path)))) {
      return alone;
    }
  }
  if (!parents.empty()) {
    const LayerDirectory chained = at(chain_key(diff_id, parents));
    if (files::exists(fmt::format("{}/layers/{}/layer.json", root_, chained.key))) {
      return chained;
    }
  }
  return std::nullopt;
}

std::unique_ptr<LayerApplier> Store::begin_layer(ApplyOptions options) const {
  const std::string parent = fmt::format("{}/layer-{}", temporary_directory(), files::random_hex(8));
  check(::mkdir(parent.c_str(), 0755), "make directory {}", parent);
  const std::string directory = parent + "/diff";
  check(::mkdir(directory.c_str(), 0755), "make directory {}", directory);
  check(::chmod(directory.c_str(), 0755), "set the mode of {}", directory);
  options.form = LayerForm::kOverlay;
  return std::make_unique<LayerApplier>(directory, options);
}

LayerDirectory Store::place_layer(const std::string& directory, const Digest& diff_id, const std::string& key) const {
  const std::string parent = parent_of(directory);
  const std::string place = fmt::format("{}/layers/{}", root_, key);
  if (::rename(parent.c_str(), place.c_str()) != 0) {
    if (errno != EEXIST && errno != ENOTEMPTY) {
      throw system_error(errno, fmt::format("rename {} to {}", parent, place));
    }
    files::remove_tree(parent);  // somebody was faster with the same content
  }
  return LayerDirectory{diff_id, key, place + "/diff"};
}

LayerDirectory Store::commit_layer(std::unique_ptr<LayerApplier> applier, const Digest& diff_id, const Descriptor& blob,
                                   const std::vector<LayerDirectory>& parents) const {
  std::vector<std::string> below = lower_directories(parents);
  std::reverse(below.begin(), below.end());
  if (applier->finish(below) == LayerApplier::Finish::kApplyAgain) {
    files::remove_tree(parent_of(applier->directory()));
    applier = apply_again(*this, blob, below);
  }
  const std::string directory = applier->directory();
  const LayerFacts facts = applier->facts();
  applier.reset();
  files::replace(parent_of(directory) + "/layer.json", write_facts(facts), {.mode = 0644, .sync = false});
  return place_layer(directory, diff_id, facts.depends && !parents.empty() ? chain_key(diff_id, parents) : diff_id.hex());
}

LayerDirectory Store::adopt_layer(const std::string& directory, const Digest& diff_id,
                                  const std::vector<LayerDirectory>& parents) const {
  // An upper describes every directory it holds, since the kernel copied them up; only its root is not in the archive.
  const bool plain_root = has_plain_root(directory);
  const std::string key = plain_root || parents.empty() ? diff_id.hex() : chain_key(diff_id, parents);
  if (plain_root && files::exists(fmt::format("{}/layers/{}/layer.json", root_, key))) {
    return LayerDirectory{diff_id, key, fmt::format("{}/layers/{}/diff", root_, key)};
  }
  const std::string parent = fmt::format("{}/layer-{}", temporary_directory(), files::random_hex(8));
  check(::mkdir(parent.c_str(), 0755), "make directory {}", parent);
  const std::string place = parent + "/diff";
  check(::rename(directory.c_str(), place.c_str()), "rename {} to {}", directory, place);
  const LayerFacts facts{.bytes = tree_bytes(place), .implicit_root = true, .depends = !plain_root};
  files::replace(parent + "/layer.json", write_facts(facts), {.mode = 0644, .sync = false});
  return place_layer(place, diff_id, key);
}

LayerDirectory Store::unpack_layer(const Descriptor& blob, const Digest& diff_id,
                                   const std::vector<LayerDirectory>& parents, const ApplyOptions& options) const {
  if (auto found = find_layer(diff_id, parents)) {
    return *found;
  }
  const files::Lock lock = lock_content(diff_id);
  if (auto found = find_layer(diff_id, parents)) {
    return *found;
  }
  ApplyOptions mine = options;
  mine.max_bytes = std::min(options.max_bytes, layer_limit(blob.size));
  std::unique_ptr<LayerApplier> applier = begin_layer(mine);
  const std::string made = parent_of(applier->directory());
  try {
    Hasher blob_hasher(blob.digest.algorithm());
    Hasher diff_hasher(diff_id.algorithm());
    verify_blob(blob);
    read_layer(open_blob(blob.digest).get(), blob.digest.text(), [&](std::string_view bytes) {
      diff_hasher.update(bytes);
      applier->write(bytes);
    });
    if (const Digest real = diff_hasher.finish(); real != diff_id) {
      throw Error(fmt::format("the layer {} unpacks to {}, but the config says {}", blob.digest.text(), real.text(), diff_id.text()),
                  "manifest and config don't belong together; nothing of this layer is used");
    }
    applier->end();
    return commit_layer(std::move(applier), diff_id, blob, parents);
  } catch (...) {
    applier.reset();
    files::remove_tree(made);
    throw;
  }
}

void Store::verify_blob(const Descriptor& blob) const {
  const Fd file = open_blob(blob.digest);
  struct stat status {};
  check(::fstat(file.get(), &status), "stat {}", blob.digest.text());
  if (static_cast<uint64_t>(status.st_size) != blob.size) {
    throw fail("{} has {} bytes, not {} as its descriptor says", blob.digest.text(), status.st_size, blob.size);
  }
  Hasher hasher(blob.digest.algorithm());
  std::string buffer(256U << 10, '\0');
  for (ssize_t got = 0; (got = check(::read(file.get(), buffer.data(), buffer.size()), "read {}", blob.digest.text())) > 0;) {
    hasher.update(std::string_view(buffer).substr(0, static_cast<size_t>(got)));
  }
  if (const Digest real = hasher.finish(); real != blob.digest) {
    throw fail("the content of {} has another digest: {}", blob.digest.text(), real.text());
  }
}

std::vector<LayerDirectory> Store::unpack_image(const Image& image, const ApplyOptions& options) const {
  check_agreement(image.manifest, image.config, image.name);
  std::vector<LayerDirectory> layers;
  for (size_t i = 0; i < image.manifest.layers.size(); ++i) {
    layers.push_back(unpack_layer(image.manifest.layers[i], image.config.diff_ids[i], layers, options));
  }
  return layers;
}

std::vector<std::string> Store::lower_directories(const std::vector<LayerDirectory>& layers) const {
  std::vector<std::string> result;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    // Two steps that changed nothing have the same, empty layer; overlayfs takes no directory twice, and a lower copy of
    // a layer can show nothing that the upper one does not show already.
    if (std::find(result.begin(), result.end(), layer->path) != result.end()) {
      continue;
    }
    result.push_back(layer->path);
    if (layer->opaque_root ? *layer->opaque_root : read_facts(fmt::format("{}/layers/{}/layer.json", root_, layer->key)).opaque_root) {
      break;
    }
  }
  return result;
}

}  // namespace jigsaw::image
