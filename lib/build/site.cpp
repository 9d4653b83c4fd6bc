#include "build/site.h"

#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "build/bases.h"
#include "build/context_sources.h"

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
  return timespec{text::parse_i64(found->second, "invalid SOURCE_DATE_EPOCH: it", 0, 253402300799), 0};
}

PlanOptions plan_options(const BuildOptions& options, Site::Purpose purpose) {
  PlanOptions plan{.target = options.target, .arguments = arguments_of(options)};
  for (const auto& [name, place] : options.named_contexts) {
    plan.named_contexts.insert(name);
  }
  if (options.platform) {
    plan.target_platform = *options.platform;
  }
  plan.check_all_stages = purpose == Site::Purpose::kCheck && options.target.empty();
  return plan;
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

std::string build_name(const BuildOptions& options, const Context& context) {
  return fmt::format("{}\n{}\n{}", context.directory.empty() ? options.context : context.directory, options.dockerfile,
                     options.target);
}

}  // namespace

Site::Site(const BuildOptions& options, Purpose purpose)
    : store(image::Store::open(options.paths.root)),
      in_use(store.use_to_add()),
      cache(store, options.paths.root + "/cache"),
      states(options.paths.run_root),
      shared(store.temporary_directory(), "build-"),
      input(open_context(store, options)),
      recipe(parse_recipe(input.dockerfile)),
      options_of_plan(plan_options(options, purpose)),
      last(cache.directory() + "/last", build_name(options, input.context)),
      workshop{.options = options,
               .store = store,
               .cache = cache,
               .last = last,
               .plan = plan_stages(recipe, options_of_plan),
               .context = input.context,
               .epoch = epoch_of(arguments_of(options)),
               .run_states = &states,
               .shared = shared.path()} {
  const std::string hashes = cache.directory() + "/files/";
  files::make_directories(hashes, 0700);
  import_caches(options, store, cache);
  workshop.context_hashes = FileHashes(hashes + image::digest_of(workshop.context.directory).hex().substr(0, 32));
  workshop.layer_hashes = FileHashes(hashes + "layers");
}

CheckResult Site::check() const {
  const auto base_image = [&](const Stage& stage) -> std::optional<BaseImage> {
    const StageResult* image = stage.base.kind == Origin::Kind::kStage ? nullptr : workshop.result_of(stage.base);
    if (image == nullptr) {
      return std::nullopt;
    }
    const image::Platform& platform = image->config.platform;
    return BaseImage{.environment = image->config.config.env,
                     .on_build = image->config.config.on_build,
                     .platform = {platform.os, platform.architecture, platform.variant}};
  };
  return check_recipe(recipe, {.plan = options_of_plan,
                               .stages = options_of_plan.check_all_stages ? CheckInput::Stages::kAll
                                                                          : CheckInput::Stages::kNeeded,
                               .ignore = input.context.ignore.get(),
                               .base_image = base_image});
}

}  // namespace jigsaw::build
