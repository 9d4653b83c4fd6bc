#include "build/cache_image.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "build/fetch.h"
#include "build/image_changes.h"

namespace jigsaw::build {
namespace {

constexpr const char* kLabel = "jigsaw.build.steps";
constexpr const char* kTag = "cache";

void take_blob(const image::Store& store, const Fd& from, const image::Descriptor& blob) {
  image::BlobWriter to = store.new_blob();
  std::vector<char> buffer(1 << 20);
  while (true) {
    const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (check(got, "read {}", blob.digest.text()) == 0) {
      break;
    }
    to.write({buffer.data(), static_cast<size_t>(got)});
  }
  to.commit(blob.digest);
}

}  // namespace

Layer take_layer(const image::Store& store, const image::LayoutImage& layout, size_t index,
                 const std::vector<image::LayerDirectory>& parents) {
  const image::Descriptor& blob = layout.image.manifest.layers.at(index);
  if (!store.has_blob(blob.digest)) {
    take_blob(store, layout.open(blob), blob);
  }
  return {store.unpack_layer(blob, layout.image.config.diff_ids.at(index), parents, {}), blob};
}

CachePlace parse_cache_place(const std::string& text, CacheDirection direction) {
  const bool from = direction == CacheDirection::kFrom;
  const char* option = from ? "--cache-from" : "--cache-to";
  CachePlace result;
  if (text.find('=') == std::string::npos) {
    result.place = text;
    return result;
  }
  std::string type;
  for (const std::string_view word : text::split(text, ',')) {
    const size_t equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? "" : word.substr(equals + 1));
    if (key == "type") {
      type = value;
    } else if (key == "ref" || key == (from ? "src" : "dest")) {
      result.place = value;
    } else if (key == "mode" && !from && (value == "min" || value == "max")) {
      result.stages = value == "max" ? CachePlace::Stages::kAll : CachePlace::Stages::kTarget;
    } else {
      throw fail("{} does not know '{}'", option, word)
          .with_hint(from ? "it takes type=local,src=DIR or type=registry,ref=NAME"
                          : "it takes type=local,dest=DIR or type=registry,ref=NAME, and mode=min or mode=max");
    }
  }
  if (type != "local" && type != "registry") {
    throw fail("{} type must be local or registry, not '{}'", option, type);
  }
  result.kind = type == "local" ? CachePlace::Kind::kLocal : CachePlace::Kind::kRegistry;
  if (result.place.empty()) {
    throw fail("{} type={} needs {}=", option, type, type == "registry" ? "ref" : from ? "src" : "dest");
  }
  return result;
}

ForeignCache::ForeignCache(const engine::Paths& paths, const image::Store& store, const CachePlace& place) {
  std::string layout = place.place;
  if (place.kind == CachePlace::Kind::kRegistry) {
    fetched_ = std::make_shared<files::TemporaryDirectory>(store.temporary_directory(), "cache-");
    layout = fetched_->path() + "/layout";
    run_transfer(paths, {"copy", "--quiet", "docker://" + place.place, fmt::format("oci:{}:{}", layout, kTag)},
                 fmt::format("the cache {} can't be fetched", place.place));
  }
  layout_ = std::make_shared<const image::LayoutImage>(image::open_layout(layout, kTag));
  const image::Image& image = layout_->image;
  const auto label = image.config.config.labels.find(kLabel);
  if (label == image.config.config.labels.end()) {
    throw fail("{} holds no build cache", place.place).with_hint("write one with --cache-to");
  }
  const json::Document document(label->second, "the cache " + place.place);
  document.root().each([&](const json::View& step) {
    const uint64_t layer = step.at("layer").unsigned_integer(image.manifest.layers.size() - 1);
    entries_[step.at("key").string()] = {layer, step.at("created").string(), step.at("instruction").string()};
  });
}

std::optional<CachedStep> ForeignCache::find(const image::Store& store, const std::string& key,
                                             const std::vector<image::LayerDirectory>& parents) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    return std::nullopt;
  }
  return CachedStep{take_layer(store, *layout_, found->second.layer, parents), found->second.created,
                    found->second.instruction};
}

void write_cache(const engine::Paths& paths, const image::Store& store, const CachePlace& place,
                 const std::vector<MadeStep>& steps) {
  image::ImageConfig config = empty_config(host_platform());
  std::vector<image::Descriptor> layers;
  std::map<std::string, size_t> places;  // of each layer
  json::Value list = json::Value::array();
  for (const MadeStep& step : steps) {
    const auto [at, is_new] = places.try_emplace(step.layer.blob.digest.text(), layers.size());
    if (is_new) {
      layers.push_back(step.layer.blob);
      config.diff_ids.push_back(step.layer.directory.diff_id);
    }
    list.push_back({{"key", step.key}, {"layer", at->second}, {"created", step.created}, {"instruction", step.instruction}});
  }
  if (layers.empty()) {
    throw fail("there is nothing to write to the cache {}: no step made a layer", place.place);
  }
  config.config.labels[kLabel] = json::dump(list);
  const image::Manifest manifest{.config = store.add_blob(image::write_config(config), image::media::kConfig),
                                 .layers = std::move(layers)};
  const image::Descriptor descriptor = store.add_blob(image::write_manifest(manifest), image::media::kManifest);
  const std::string name = "localhost/jigsaw-cache:" + files::random_hex(8);
  store.tag(name, descriptor);
  const bool local = place.kind == CachePlace::Kind::kLocal;
  try {
    run_transfer(paths,
                 {"copy", "--quiet", name, local ? fmt::format("oci:{}:{}", place.place, kTag) : "docker://" + place.place},
                 fmt::format("the cache can't be written to {}", place.place));
  } catch (const Error&) {
    store.untag(name);
    throw;
  }
  store.untag(name);
}

}  // namespace jigsaw::build
