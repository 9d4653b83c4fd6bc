// Pull, the plan: which image it is, and what of it is here.
#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "image/pull.h"

namespace jigsaw::image {
namespace {

// The layers of an image as far as they are unpacked here, bottom first; nothing if one is missing.
bool is_complete(const Store& store, const Image& image) {
  std::vector<LayerDirectory> parents;
  for (size_t i = 0; i < image.manifest.layers.size(); ++i) {
    const auto layer = store.find_layer(image.config.diff_ids[i], parents);
    if (!layer || !store.has_blob(image.manifest.layers[i].digest)) {
      return false;
    }
    parents.push_back(*layer);
  }
  return true;
}

bool fits(const Platform& have, const Platform& wanted) {
  return have.os == wanted.os && have.architecture == wanted.architecture &&
         (wanted.variant.empty() || have.variant.empty() || have.variant == wanted.variant);
}

// What this name stands for here, and the digest of the document that it came from.
struct Known {
  Image image;
  Digest source;
};
std::optional<Known> known_image(const Store& store, const std::string& name, const std::optional<Platform>& platform) {
  if (name.empty()) {
    return std::nullopt;
  }
  for (const Tag& tag : store.tags()) {
    if (tag.name != name) {
      continue;
    }
    try {
      Image image = store.read_image(tag.descriptor, name);
      const auto source = tag.descriptor.annotations.find(std::string(kSourceAnnotation));
      const Digest digest = source == tag.descriptor.annotations.end()
                                ? tag.descriptor.digest
                                : Digest::parse(source->second, "the source of " + name);
      if (is_complete(store, image) && (!platform || fits(image.config.platform, *platform))) {
        return Known{std::move(image), digest};
      }
    } catch (const Error& error) {
      log::debug("{} is damaged here and is fetched again: {}", name, error.message());
    }
  }
  return std::nullopt;
}

// Follows indexes down to the manifest for the platform.
FetchedManifest choose_manifest(Source& source, FetchedManifest document, PullPlan& plan, const Platform& wanted,
                                const std::string& shown) {
  plan.descriptor = {.media_type = document.media_type, .digest = document.digest, .size = document.text.size()};
  for (int depth = 0; classify(document.text, shown, document.media_type) == DocumentKind::kIndex; ++depth) {
    if (depth == kMaxIndexDepth) {
      throw fail("{}: more than {} indexes within one another", shown, kMaxIndexDepth);
    }
    if (depth == 0) {
      plan.source_digest = document.digest;
    }
    const Index index = parse_index(document.text, shown, document.media_type);
    const auto fitting = choose_platform(index, wanted);
    if (!fitting) {
      std::vector<std::string> there;
      for (const Descriptor& each : index.manifests) {
        if (each.platform && each.platform->os != "unknown") {
          there.push_back(platform_text(*each.platform));
        }
      }
      throw Error(fmt::format("{} has no image for {}{}", shown, platform_text(wanted), about_foreign(index)),
                  there.empty() ? "" : fmt::format("choose with --platform: {}", fmt::join(there, ", ")));
    }
    plan.descriptor = *fitting;
    document = source.document(*fitting);
    document.media_type = fitting->media_type;
  }
  return document;
}

void plan_layers(const Store& store, PullPlan& plan) {
  std::vector<LayerDirectory> parents;
  bool all_here = true;
  for (size_t i = 0; i < plan.manifest.layers.size(); ++i) {
    LayerPlan layer{.blob = plan.manifest.layers[i], .diff_id = plan.config.diff_ids[i]};
    compression_of(layer.blob.media_type);  // throws if it is no layer
    const auto found = store.find_layer(layer.diff_id, all_here ? parents : std::vector<LayerDirectory>{});
    const bool blob = store.has_blob(layer.blob.digest);
    layer.state = !blob ? LayerState::kMissing : found ? LayerState::kHere : LayerState::kPacked;
    all_here = all_here && found;
    if (found) {
      parents.push_back(*found);
    }
    plan.layers.push_back(std::move(layer));
  }
}

}  // namespace

uint64_t PullPlan::bytes_to_fetch() const {
  uint64_t bytes = 0;
  for (auto layer = layers.begin(); layer != layers.end(); ++layer) {
    const bool repeated = std::any_of(layers.begin(), layer, [&](const LayerPlan& each) { return each.blob.digest == layer->blob.digest; });
    bytes += layer->state == LayerState::kMissing && !repeated ? layer->blob.size : 0;
  }
  return bytes;
}

PullPlan plan_pull(const Store& store, Source& source, const std::string& name, const PullOptions& options) {
  PullPlan plan{.name = name};
  auto known = known_image(store, name, options.platform);
  auto document = source.root(known ? std::optional(known->source) : std::nullopt);
  if (!document) {
    plan.unchanged = true;
    plan.descriptor = known->image.descriptor;
    plan.manifest = known->image.manifest;
    plan.config = known->image.config;
    plan.here = std::move(known->image);
    plan_layers(store, plan);
    return plan;
  }
  const std::string shown = source.description();
  const Platform wanted = options.platform.value_or(host_platform());
  const FetchedManifest found = choose_manifest(source, std::move(*document), plan, wanted, shown);
  plan.manifest_text = found.text;
  plan.manifest = parse_manifest(found.text, "manifest of " + shown, found.media_type);
  plan.descriptor.media_type = plan.manifest.media_type;
  check_is_image(plan.manifest, shown);
  plan.config_text = store.has_blob(plan.manifest.config.digest)
                         ? store.read_blob(plan.manifest.config, kConfigLimit)
                         : fetch_text(source, plan.manifest.config, kConfigLimit);
  plan.config = parse_config(plan.config_text, "config of " + shown);
  check_agreement(plan.manifest, plan.config, shown);
  if (!runs_on(plan.config.platform, wanted)) {
    const std::string what = fmt::format("{} is an image for {}, not {}", shown, platform_text(plan.config.platform), platform_text(wanted));
    if (options.platform) {
      throw Error(what);
    }
    log::warning("{}", what);
  }
  plan_layers(store, plan);
  return plan;
}

}  // namespace jigsaw::image
