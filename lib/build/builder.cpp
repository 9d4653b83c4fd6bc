#include "build/builder.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "build/bases.h"
#include "build/checks.h"
#include "build/context_sources.h"
#include "build/glob.h"
#include "build/output.h"
#include "build/run_states.h"
#include "build/schedule.h"
#include "image/reference.h"

namespace jigsaw::build {
namespace {

std::map<std::string, std::string> arguments_of(const BuildOptions& options) {
  std::map<std::string, std::string> arguments = options.arguments;
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  if (epoch != nullptr && *epoch != '\0') {
    arguments.try_emplace("SOURCE_DATE_EPOCH", epoch);
  }
  return arguments;
}

std::optional<timespec> epoch_of(const std::map<std::string, std::string>& arguments) {
  const auto found = arguments.find("SOURCE_DATE_EPOCH");
  if (found == arguments.end() || found->second.empty()) {
    return std::nullopt;
  }
  return timespec{text::parse_i64(found->second, "SOURCE_DATE_EPOCH", 0, 253402300799), 0};
}

// With "# check=error=true" in the file, what the build checks find ends the build.
Plan plan_of(const BuildOptions& options, const Source& source, const IgnoreMatcher* ignore) {
  PlanOptions plan{.target = options.target, .arguments = arguments_of(options)};
  for (const auto& [name, place] : options.named_contexts) {
    plan.named_contexts.insert(name);
  }
  if (options.platform) {
    plan.target_platform = *options.platform;
  }
  const Recipe recipe = parse_recipe(source);
  if (recipe.file.directive("check")) {
    const CheckResult result = check_recipe(recipe, {.plan = plan, .ignore = ignore, .base_image = {}});
    if (result.fails()) {
      throw result.error();
    }
  }
  return plan_stages(recipe, plan);
}

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
                           .layers = {}};
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

// A cache that can't be had makes a build slow, not wrong.
void import_caches(const BuildOptions& options, const image::Store& store, StepCache& cache) {
  for (const CachePlace& place : options.cache_from) {
    try {
      cache.add_foreign(ForeignCache(options.paths, store, place));
    } catch (const Error& error) {
      if (options.events != nullptr) {
        options.events->tell({.kind = Event::Kind::kNote, .text = "--cache-from: " + error.message()});
      }
    }
  }
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

std::string build_name(const BuildOptions& options, const Context& context) {
  return fmt::format("{}\n{}\n{}", context.directory.empty() ? options.context : context.directory, options.dockerfile,
                     options.target);
}

}  // namespace

BuildResult build(const BuildOptions& options) {
  check_tags(options);
  const std::optional<OutputPlan> output = parse_output(options.output);
  const image::Store store = image::Store::open(options.paths.root);
  const files::Lock in_use = store.use();
  const std::string cache_directory = options.paths.root + "/cache";
  StepCache cache(store, cache_directory);
  import_caches(options, store, cache);
  const RunStates states(options.paths.run_root);
  const files::TemporaryDirectory shared(store.temporary_directory(), "build-");
  ContextAndFile input = open_context(store, options);
  LastBuild last(cache_directory + "/last", build_name(options, input.context));
  files::make_directories(cache_directory + "/files", 0700);
  const std::string hashes = cache_directory + "/files/";
  Workshop workshop{.options = options,
                    .store = store,
                    .cache = cache,
                    .last = last,
                    .plan = plan_of(options, input.dockerfile, input.context.ignore.get()),
                    .context = std::move(input.context),
                    .epoch = epoch_of(arguments_of(options)),
                    .run_states = &states,
                    .shared = shared.path()};
  workshop.context_hashes = FileHashes(hashes + image::digest_of(workshop.context.directory).hex().substr(0, 32));
  workshop.layer_hashes = FileHashes(hashes + "layers");
  load_bases(workshop);
  try {
    build_stages(workshop);
  } catch (const Error&) {
    last.save();
    throw;
  }
  last.save();
  workshop.context_hashes.save();
  workshop.layer_hashes.save();
  BuildResult result;
  for (const size_t index : workshop.plan.order) {
    result.steps += workshop.stages[index]->steps;
    result.cached += workshop.stages[index]->cached;
  }
  for (const CachePlace& place : options.cache_to) {
    write_cache(options.paths, store, place, steps_for(workshop, place.stages));
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
  if (output && (output->kind == Kind::kOci || output->kind == Kind::kOciDirectory || output->kind == Kind::kDocker)) {
    write_archive(*output, options.paths, options.tags.empty() ? result.image->hex() : options.tags.front());
  }
  if (!options.iidfile.empty()) {
    files::replace(options.iidfile, result.image->text(), {.mode = 0644, .sync = false});
  }
  return result;
}

}  // namespace jigsaw::build
