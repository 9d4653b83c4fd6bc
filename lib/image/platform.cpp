// Platforms: what this machine is, and which image of an index runs on it. image-index.md, "platform".
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/text.h"
#include "image/manifest.h"

namespace jigsaw::image {
namespace {

std::string machine_architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#elif defined(__arm__)
  return "arm";
#elif defined(__i386__)
  return "386";
#elif defined(__riscv)
  return "riscv64";
#elif defined(__s390x__)
  return "s390x";
#elif defined(__powerpc64__)
  return "ppc64le";
#else
#error "which GOARCH is this?"
#endif
}

std::string default_variant(std::string_view architecture) {
  return architecture == "arm64" ? "v8" : architecture == "arm" ? "v7" : "";
}

// How well `offered` fits: 0 is not at all, larger is better, 100 exactly.
int fitness(const Platform& offered, const Platform& wanted) {
  if (offered.os != wanted.os || offered.architecture != wanted.architecture) {
    return 0;
  }
  const auto variant_of = [](const Platform& platform) {
    return !platform.variant.empty() ? platform.variant : platform.architecture == "amd64" ? "v1" : default_variant(platform.architecture);
  };
  const std::string variant = variant_of(wanted);
  const std::string has = variant_of(offered);
  if (has == variant) {
    return 100;
  }
  // An older variant of the same architecture runs here; the newest of those is the best.
  if (has.size() == 2 && variant.size() == 2 && has[0] == 'v' && variant[0] == 'v' && has[1] < variant[1]) {
    return 10 + (has[1] - '0');
  }
  return has.empty() ? 2 : 0;
}

// image-index.md: entries of types that are not known are ignored; without a platform one has no requirements.
int fitness(const Descriptor& candidate, const Platform& wanted) {
  if (!is_manifest_type(candidate.media_type) && !is_index_type(candidate.media_type)) {
    return 0;
  }
  const bool artifact = !may_be_image(candidate);
  if (!candidate.platform) {
    return artifact ? 0 : 1;
  }
  const int fits = fitness(*candidate.platform, wanted);
  return artifact ? std::min(fits, 1) : fits;
}

}  // namespace

bool runs_on(const Platform& offered, const Platform& machine) { return fitness(offered, machine) > 0; }

Platform host_platform() {
  const std::string architecture = machine_architecture();
  return Platform{.os = "linux", .architecture = architecture, .variant = default_variant(architecture)};
}

Platform parse_platform(std::string_view text) {
  const auto fields = text::split(text, '/');
  const auto valid = [](std::string_view field) {
    return !field.empty() && std::all_of(field.begin(), field.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
    });
  };
  if (fields.size() > 3 || !std::all_of(fields.begin(), fields.end(), valid)) {
    throw Error(fmt::format("{} is no platform", text::quoted(text)), "write os/architecture or os/architecture/variant: linux/arm64");
  }
  Platform result = host_platform();
  const auto is_os = [](std::string_view word) {
    return word == "linux" || word == "windows" || word == "darwin" || word == "freebsd";
  };
  if (fields.size() == 1 && is_os(fields[0])) {
    result.os = fields[0];
    return result;
  }
  result.os = fields.size() == 1 ? "linux" : text::lower(fields[0]);
  std::string architecture = text::lower(fields.size() == 1 ? fields[0] : fields[1]);
  for (const auto& [alias, real] : {std::pair{"x86_64", "amd64"}, std::pair{"x86-64", "amd64"},
                                    std::pair{"aarch64", "arm64"}, std::pair{"i386", "386"}, std::pair{"armhf", "arm"}}) {
    architecture = architecture == alias ? real : architecture;
  }
  result.architecture = architecture;
  result.variant = fields.size() == 3 ? std::string(fields[2]) : default_variant(architecture);
  return result;
}

std::string platform_text(const Platform& platform) {
  return fmt::format("{}/{}{}{}", platform.os.empty() ? "unknown" : platform.os,
                     platform.architecture.empty() ? "unknown" : platform.architecture,
                     platform.variant.empty() ? "" : "/", platform.variant);
}

std::optional<Descriptor> choose_platform(const Index& index, const Platform& wanted) {
  const Descriptor* best = nullptr;
  int best_fitness = 0;
  for (const Descriptor& candidate : index.manifests) {
    const int fits = fitness(candidate, wanted);
    if (fits > best_fitness) {
      best = &candidate;
      best_fitness = fits;
    }
  }
  return best != nullptr ? std::optional(*best) : std::nullopt;
}

}  // namespace jigsaw::image
