#include "build/builder.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "build/bases.h"
#include "build/checks.h"
#include "build/fetch.h"
#include "build/output.h"
#include "build/schedule.h"
#include "build/site.h"
#include "image/reference.h"

namespace jigsaw::build {
namespace {

void check_tags(const BuildOptions& options) {
  for (const std::string& tag : options.tags) {
    if (!image::parse_reference(tag).digest.empty()) {
      throw fail("an image can't be tagged with a digest: '{}'", tag);
    }
  }
}

// The image that the target stage became, in the store.
image::Descriptor write_image(Workshop& workshop, StageResult& stage, BuildResult& result) {
  for (const auto& [name, value] : workshop.options.labels) {
    stage.config.config.labels[name] = value;
  }
  settle_history(stage.config, stage.inherited, workshop.now());
  image::Manifest manifest{.config = workshop.store.add_blob(image::write_config(stage.config), image::media::kConfig),
                           .layers = {},
                           .annotations = workshop.options.annotations};
  for (const Layer& layer : stage.layers) {
    manifest.layers.push_back(layer.blob);
  }
  result.image = manifest.config.digest;
  const image::Descriptor descriptor =
      workshop.store.add_blob(image::write_manifest(manifest), image::media::kManifest);
  result.manifest = descriptor.digest;
  return descriptor;
}

void name_image(const Workshop& workshop, const image::Descriptor& descriptor) {
  for (const std::string& tag : workshop.options.tags) {
    workshop.store.tag(image::with_default_tag(image::parse_reference(tag)).text(), descriptor);
  }
  if (workshop.options.tags.empty()) {
    workshop.store.tag("", descriptor);
  }
}

// The keys that docker buildx gives these facts.
std::string metadata_text(const BuildOptions& options, const image::Descriptor& descriptor, const BuildResult& result) {
  std::vector<std::string> names;
  for (const std::string& tag : options.tags) {
    names.push_back(image::with_default_tag(image::parse_reference(tag)).text());
  }
  json::Value value = {{"containerimage.config.digest", result.image->text()},
                       {"containerimage.descriptor",
                        {{"mediaType", descriptor.media_type},
                         {"digest", descriptor.digest.text()},
                         {"size", descriptor.size}}},
                       {"containerimage.digest", descriptor.digest.text()}};
  if (!names.empty()) {
    value["image.name"] = text::join(names, ",");
  }
  return json::dump(value) + "\n";
}

std::vector<MadeStep> steps_for(const Workshop& workshop, CachePlace::Stages stages) {
  if (stages == CachePlace::Stages::kTarget) {
    return workshop.stages[workshop.plan.target]->made;
  }
  std::vector<MadeStep> result;
  for (const size_t index : workshop.plan.order) {
    const std::vector<MadeStep>& made = workshop.stages[index]->made;
    result.insert(result.end(), made.begin(), made.end());
  }
  return result;
}

// What is known for the next build is kept, also of one that fails.
BuildResult build_all_stages(Workshop& workshop) {
  try {
    build_stages(workshop);
  } catch (const Error&) {
    workshop.last.save();
    throw;
  }
  if (workshop.options.events != nullptr) {
    workshop.options.events->hand_over(EventSink::Until::kNextStep);
  }
  workshop.last.save();
  workshop.context_hashes.save();
  workshop.layer_hashes.save();
  BuildResult result;
  for (const size_t index : workshop.plan.order) {
    result.steps += workshop.stages[index]->steps;
    result.cached += workshop.stages[index]->cached;
  }
  return result;
}

}  // namespace

std::string built_in_argument(const BuildOptions& options, const std::string& name) {
  const auto found = options.arguments.find(name);
  return found == options.arguments.end() ? "" : found->second;
}

BuildResult build(const BuildOptions& options) {
  check_tags(options);
  if (options.push && options.tags.empty()) {
    throw fail("--push needs a name to push to").with_hint("give one with -t REGISTRY/NAME:TAG");
  }
  const std::optional<OutputPlan> output = parse_output(options.output);
  Site site(options, Site::Purpose::kBuild);
  Workshop& workshop = site.workshop;
  load_bases(workshop, Bases::kFetched);
  const CheckResult checked = site.check();
  if (checked.fails()) {
    throw checked.error();
  }
  BuildResult result = build_all_stages(workshop);
  result.warnings = summary_of(checked.findings);
  for (const CachePlace& place : options.cache_to) {
    write_cache(options.paths, site.store, place, steps_for(workshop, place.stages));
  }
  StageResult& target = *workshop.stages[workshop.plan.target];
  using Kind = OutputPlan::Kind;
  if (output && (output->kind == Kind::kLocal || output->kind == Kind::kTar)) {
    write_output(*output, workshop, target);
    if (options.tags.empty()) {
      return result;
    }
  }
  const image::Descriptor descriptor = write_image(workshop, target, result);
  name_image(workshop, descriptor);
  for (const std::string& tag : options.push ? options.tags : std::vector<std::string>{}) {
    run_transfer(options.paths, {"push", tag}, fmt::format("the image {} can't be pushed", tag));
  }
  if (output && (output->kind == Kind::kOci || output->kind == Kind::kOciDirectory || output->kind == Kind::kDocker)) {
    write_archive(*output, options.paths, options.tags.empty() ? result.image->hex() : options.tags.front());
  }
  if (!options.iidfile.empty()) {
    files::replace(options.iidfile, result.image->text(), {.mode = 0644, .sync = false});
  }
  if (!options.metadata_file.empty()) {
    files::replace(options.metadata_file, metadata_text(options, descriptor, result), {.mode = 0644, .sync = false});
  }
  return result;
}

}  // namespace jigsaw::build
