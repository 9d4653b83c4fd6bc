#include "build/cache.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "build/cache_image.h"

namespace jigsaw::build {
namespace {

constexpr size_t kEntryLimit = 64 << 10;      // bytes
constexpr size_t kNoteLimit = 1024;  // bytes
constexpr size_t kLastBuildLimit = 16 << 20;  // bytes

std::string short_digest(const std::string& value) {
  return value.size() <= 200 ? value : image::digest_of(value).text();
}

}  // namespace

std::string as_note(const std::string& instruction) {
  size_t end = std::min(instruction.size(), kNoteLimit);
  while (end < instruction.size() && end > 0 && (static_cast<unsigned char>(instruction[end]) & 0xc0) == 0x80) {
    --end;  // not within a character
  }
  return instruction.substr(0, end);
}

image::Digest StepInputs::key() const {
  image::Hasher hasher;
  for (const auto& [name, value] : parts) {
    hasher.update(fmt::format("{} {} {}\n", name, value.size(), value));
  }
  return hasher.finish();
}

std::string layer_to_json(const Layer& layer) {
  return json::dump({{"diff_id", layer.directory.diff_id.text()},
                     {"key", layer.directory.key},
                     {"path", layer.directory.path},
                     {"media_type", layer.blob.media_type},
                     {"digest", layer.blob.digest.text()},
                     {"size", layer.blob.size}});
}

namespace {

Layer read_layer(const json::View& view) {
  return {{image::Digest::parse(view.at("diff_id").string()), view.at("key").string(), view.at("path").string()},
          {.media_type = view.at("media_type").string(),
           .digest = image::Digest::parse(view.at("digest").string()),
           .size = view.at("size").unsigned_integer()}};
}

}  // namespace

Layer layer_from_json(const std::string& text, const std::string& name) {
  const json::Document document(text, name);
  return read_layer(document.root());
}

StepCache::StepCache(const image::Store& store, std::string directory) : store_(store), directory_(std::move(directory)) {
  files::make_directories(directory_ + "/steps", 0700);
}

StepCache::~StepCache() = default;

void StepCache::add_foreign(ForeignCache cache) { foreign_.push_back(std::move(cache)); }

std::optional<CachedStep> StepCache::find_foreign(const StepInputs& inputs,
                                                  const std::vector<image::LayerDirectory>& parents) const {
  for (const ForeignCache& cache : foreign_) {
    if (std::optional<CachedStep> step = cache.find(store_, inputs.key().hex(), parents)) {
      put(inputs, *step, step->instruction);
      return step;
    }
  }
  return std::nullopt;
}

std::optional<CachedStep> StepCache::find(const StepInputs& inputs,
                                          const std::vector<image::LayerDirectory>& parents) const {
  std::optional<CachedStep> here = find_here(inputs, parents);
  return here || foreign_.empty() ? here : find_foreign(inputs, parents);
}

std::optional<CachedStep> StepCache::find_here(const StepInputs& inputs,
                                               const std::vector<image::LayerDirectory>& parents) const {
  const std::string path = directory_ + "/steps/" + inputs.key().hex();
  try {
    const std::optional<std::string> text = files::read_if_exists(path, kEntryLimit);
    if (!text) {
      return std::nullopt;
    }
    const json::Document document(*text, path);
    CachedStep step{read_layer(document.root().at("layer")), document.root().at("created").string(),
                    document.root().string_or("instruction", "")};
    const std::optional<image::LayerDirectory> layer = store_.find_layer(step.layer.directory.diff_id, parents);
    if (!layer || !store_.has_blob(step.layer.blob.digest)) {
      return std::nullopt;
    }
    step.layer.directory = *layer;
    return step;
  } catch (const Error&) {
    return std::nullopt;  // a damaged entry is as good as none
  }
}

void StepCache::put(const StepInputs& inputs, const CachedStep& step, const std::string& instruction) const {
  const std::string key = inputs.key().hex();
  store_.hold("build-" + key, {.blobs = {step.layer.blob.digest}, .layers = {step.layer.directory.key}});
  const std::string text = fmt::format("{{\"layer\":{},\"created\":{},\"instruction\":{}}}\n", layer_to_json(step.layer),
                                       json::dump(step.created), json::dump(as_note(instruction)));
  files::replace(directory_ + "/steps/" + key, text, {.mode = 0600, .sync = false});
}

void LastBuild::read(const std::string& text, const std::string& name, Places& places) {
  const json::Document document(text, name);
  document.root().each_member([&](const std::string& place, const json::View& parts) {
    parts.each_member([&](const std::string& part, const json::View& value) { places[place][part] = value.string(); });
  });
}

LastBuild::LastBuild(std::string directory, const std::string& build)
    : path_(fmt::format("{}/{}", directory, image::digest_of(build).hex())) {
  files::make_directories(directory, 0700);
  try {
    if (const std::optional<std::string> text = files::read_if_exists(path_, kLastBuildLimit)) {
      read(*text, path_, before_);
    }
  } catch (const Error&) {
    before_.clear();  // it only explains; a damaged one is as good as none
  }
}

std::string LastBuild::reason(const std::string& place, const StepInputs& inputs) const {
  const auto found = before_.find(place);
  if (found == before_.end()) {
    return "no step with these inputs was built before";
  }
  std::string changed;
  for (const auto& [name, value] : inputs.parts) {
    const auto part = found->second.find(name);
    if (part == found->second.end()) {
      changed += fmt::format("{}{} is new", changed.empty() ? "" : ", ", name);
    } else if (part->second != short_digest(value)) {
      changed += fmt::format("{}{} changed", changed.empty() ? "" : ", ", name);
    }
  }
  for (const auto& former : found->second) {
    const std::string& name = former.first;
    const bool there = std::any_of(inputs.parts.begin(), inputs.parts.end(), [&](const auto& p) { return p.first == name; });
    if (!there) {
      changed += fmt::format("{}{} is gone", changed.empty() ? "" : ", ", name);
    }
  }
  return changed.empty() ? "the same inputs as last time, but the result was pruned or the step failed" : changed;
}

void LastBuild::note(const std::string& place, const StepInputs& inputs) {
  Parts& parts = now_[place];
  for (const auto& [name, value] : inputs.parts) {
    parts[name] = short_digest(value);
  }
}

std::string LastBuild::notes() const {
  json::Value document = json::Value::object();
  for (const auto& [place, parts] : now_) {
    for (const auto& [name, value] : parts) {
      document[place][name] = value;
    }
  }
  return json::dump(document);
}

void LastBuild::add_notes(const std::string& text) { read(text, "notes of a stage", now_); }

void LastBuild::save() {
  Places merged = before_;
  for (auto& [place, parts] : now_) {
    merged[place] = parts;
  }
  if (merged != before_) {
    now_ = std::move(merged);
    files::replace(path_, notes(), {.mode = 0600, .sync = false});
  }
}

}  // namespace jigsaw::build
