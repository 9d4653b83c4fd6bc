#include "build/bases.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "build/cache_image.h"
#include "build/context_sources.h"
#include "build/fetch.h"
#include "image/embedded.h"
#include "image/pull.h"
#include "image/reference.h"

namespace jigsaw::build {
namespace {

image::Platform to_image_platform(const Platform& platform) {
  image::Platform result;
  result.os = platform.os;
  result.architecture = platform.architecture;
  result.variant = platform.variant;
  return result;
}

StageResult from_image(const Workshop& workshop, const image::Image& image) {
  StageResult result;
  result.config = image.config;
  result.inherited = image.config.history.size();
  const std::vector<image::LayerDirectory> directories = workshop.store.unpack_image(image, {});
  for (size_t i = 0; i < directories.size(); ++i) {
    result.layers.push_back({directories[i], image.manifest.layers[i]});
  }
  result.scope = scope_of_image(image.config.config.env);
  return result;
}

bool fits(const image::Platform& has, const image::Platform& wanted) {
  return has.os == wanted.os && has.architecture == wanted.architecture;
}

// What came from a registry as one image of several is there for other platforms too: fetched by the digest of them all,
// under that name, so that the tag goes on to mean what it meant. Nothing if it has no siblings.
std::optional<image::Tag> sibling(const Workshop& workshop, const image::Tag& tag, const image::Platform& wanted) {
  const auto source = tag.descriptor.annotations.find(std::string(image::kSourceAnnotation));
  if (source == tag.descriptor.annotations.end() || tag.name.empty()) {
    return std::nullopt;
  }
  image::Reference reference = image::parse_reference(tag.name);
  reference.tag.clear();
  reference.digest = source->second;
  const std::string name = reference.text();
  const image::Store& store = workshop.store;
  const std::optional<image::Tag> here = store.find(name);
  if (!here || !fits(store.read_image(here->descriptor, name, wanted).config.platform, wanted)) {
    pull_image(workshop.options.paths, name, image::platform_text(wanted));
  }
  return store.find(name);
}

std::optional<StageResult> load_image(const Workshop& workshop, const std::string& written,
                                      const std::optional<Platform>& platform, Bases bases) {
  const image::Platform wanted = platform ? to_image_platform(*platform) : image::host_platform();
  const std::optional<std::string> identifier = image::as_identifier(written);
  const std::string name =
      identifier ? *identifier : image::with_default_tag(image::parse_reference(written)).text();
  const bool fresh =
      workshop.options.pull && !identifier && name != image::kEmbeddedName && bases == Bases::kFetched;
  std::optional<image::Tag> tag = fresh ? std::nullopt : workshop.store.find(name);
  if (!tag && name == image::kEmbeddedName) {
    image::add_embedded(workshop.store);
    tag = workshop.store.find(name);
  }
  if (!tag && bases == Bases::kAtHand) {
    return std::nullopt;
  }
  if (!tag) {
    pull_image(workshop.options.paths, name, platform ? image::platform_text(wanted) : "");
    tag = workshop.store.find(name);
  }
  if (!tag) {
    throw fail("no such image: {}", written);
  }
  image::Image image = workshop.store.read_image(tag->descriptor, written, wanted);
  if (!fits(image.config.platform, wanted) && bases == Bases::kFetched) {
    if (const std::optional<image::Tag> other = sibling(workshop, *tag, wanted)) {
      image = workshop.store.read_image(other->descriptor, written, wanted);
    }
  }
  StageResult result = from_image(workshop, image);
  const image::Platform& has = result.config.platform;
  if (platform && !fits(has, wanted) && workshop.options.events != nullptr) {
    workshop.options.events->tell({.kind = Event::Kind::kNote,
                                   .text = fmt::format("the image {} is for {}, not for {}: its programs may not run",
                                                       written, image::platform_text(has), image::platform_text(wanted))});
  }
  return result;
}

// "oci-layout://DIR", "oci-layout://DIR:TAG", either with "@sha256:…".
StageResult load_layout(const Workshop& workshop, const std::string& place, const std::optional<Platform>& platform) {
  const size_t at = place.rfind("@sha");
  const std::string path = place.substr(0, at);
  size_t colon = path.find(':');  // the tag begins behind the directory, which may have colons itself
  while (colon != std::string::npos && !files::exists(path.substr(0, colon) + "/oci-layout")) {
    colon = path.find(':', colon + 1);
  }
  const std::string tag = at != std::string::npos      ? place.substr(at)  // what a tag beside it says is a comment
                          : colon != std::string::npos ? path.substr(colon + 1)
                                                       : "";
  const image::LayoutImage layout = image::open_layout(
      path.substr(0, colon), tag, platform ? to_image_platform(*platform) : image::host_platform());
  StageResult result;
  result.config = layout.image.config;
  result.inherited = result.config.history.size();
  result.scope = scope_of_image(result.config.config.env);
  for (size_t i = 0; i < layout.image.manifest.layers.size(); ++i) {
    result.layers.push_back(take_layer(workshop.store, layout, i, result.directories()));
  }
  return result;
}

Context named_directory(const std::string& name, const std::string& place) {
  try {
    return directory_context(place, "");
  } catch (const Error& error) {
    throw Error(fmt::format("--build-context {}={}: {}", name, place, error.message()),
                "it names a directory, docker-image://NAME, oci-layout://DIR or an address");
  }
}

void load_origin(Workshop& workshop, const Origin& origin, const std::optional<Platform>& platform, Bases bases) {
  const std::string key = Workshop::key_of(origin);
  if (workshop.images.contains(key) || workshop.named_contexts.contains(origin.name)) {
    return;
  }
  const auto add_image = [&](const std::string& name) {
    if (std::optional<StageResult> image = load_image(workshop, name, platform, bases)) {
      workshop.images.emplace(key, std::move(*image));
    }
  };
  if (origin.kind == Origin::Kind::kImage) {
    add_image(origin.name);
  } else if (origin.kind == Origin::Kind::kNamedContext) {
    const std::string& place = workshop.options.named_contexts.at(origin.name);
    constexpr std::string_view kImagePrefix = "docker-image://";
    constexpr std::string_view kLayoutPrefix = "oci-layout://";
    if (place.starts_with(kImagePrefix)) {
      add_image(place.substr(kImagePrefix.size()));
    } else if (place.starts_with(kLayoutPrefix)) {
      workshop.images.emplace(key, load_layout(workshop, place.substr(kLayoutPrefix.size()), platform));
    } else if (is_git_address(place) || is_web_address(place)) {
      if (bases == Bases::kAtHand) {
        return;
      }
      workshop.named_contexts.emplace(origin.name, fetched_context(workshop.store, place));
    } else {
      workshop.named_contexts.emplace(origin.name, named_directory(origin.name, place));
    }
  }
}

// FROM a named context that is a directory: its files are the first layer.
void start_from_directory(const Workshop& workshop, Stage& stage) {
  if (stage.base.kind != Origin::Kind::kNamedContext || !workshop.named_contexts.contains(stage.base.name)) {
    return;
  }
  Instruction copy{.keyword = "FROM", .text = "FROM " + stage.base.name, .place = stage.place};
  copy.body = Copy{.sources = {"."}, .destination = "/"};
  stage.instructions.insert(stage.instructions.begin(),
                            {.instruction = std::move(copy), .origins = {stage.base}});
  stage.base = {.kind = Origin::Kind::kScratch};
}

// The triggers that a stage's base left for those who build on it.
std::vector<std::string> triggers_of(const Workshop& workshop, const Stage& stage) {
  if (stage.base.kind == Origin::Kind::kStage) {
    std::vector<std::string> result;
    for (const PlannedInstruction& planned : workshop.plan.stages[stage.base.stage].instructions) {
      if (const Onbuild* onbuild = std::get_if<Onbuild>(&planned.instruction.body)) {
        result.push_back(onbuild->expression);
      }
    }
    return result;
  }
  const StageResult* base = workshop.result_of(stage.base);
  return base == nullptr ? std::vector<std::string>{} : base->config.config.on_build;
}

// What COPY --from or --mount=from= names was meant to be a stage, perhaps.
Error missing_source(const Plan& plan, const Instruction& instruction, const Origin& origin, const Error& error) {
  const bool is_word = origin.kind == Origin::Kind::kImage && origin.name.find_first_of("/:@.") == std::string::npos;
  const std::string message =
      is_word ? fmt::format("no stage is called {}, and {}", origin.name, error.message()) : error.message();
  const std::string near = is_word ? stage_hint(plan, origin.name) : "";
  return instruction.place.error(message, near.empty() ? error.hint() : near).with_code(error.code());
}

}  // namespace

void load_bases(Workshop& workshop, Bases bases) {
  for (bool again = true; again;) {
    again = false;
    const std::vector<size_t> order = workshop.plan.order;
    for (const size_t index : order) {
      Stage& stage = workshop.plan.stages[index];
      try {
        load_origin(workshop, stage.base, stage.platform ? stage.platform : workshop.options.platform, bases);
      } catch (const Error& error) {
        throw stage.place.error(error.message(), error.hint()).with_code(error.code());
      }
      start_from_directory(workshop, stage);
      if (!stage.triggers_added) {
        add_triggers(workshop.plan, index, triggers_of(workshop, stage));
        workshop.plan.stages[index].triggers_added = true;
        again = again || workshop.plan.order != order;
      }
      for (const PlannedInstruction& planned : workshop.plan.stages[index].instructions) {
        for (const Origin& origin : planned.origins) {
          try {
            load_origin(workshop, origin, workshop.options.platform, bases);
          } catch (const Error& error) {
            throw missing_source(workshop.plan, planned.instruction, origin, error);
          }
        }
      }
      if (again) {
        break;
      }
    }
  }
  workshop.stages.resize(workshop.plan.stages.size());
}

StageResult base_of(const Workshop& workshop, const Stage& stage) {
  if (const StageResult* base = workshop.result_of(stage.base)) {
    return *base;
  }
  StageResult result;
  result.config = empty_config(stage.platform ? *stage.platform : workshop.options.platform.value_or(host_platform()));
  result.scope = scope_of_image(result.config.config.env);
  return result;
}

}  // namespace jigsaw::build
