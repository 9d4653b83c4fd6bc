#include "build/docker_flags.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::build {
namespace {

using Value = DockerFlag::Value;

constexpr const char* kNoAttestations = "no attestations are made: an image here is what the Dockerfile says and nothing else";
constexpr const char* kAttestLater = "leave the flag out; another program can attest the image once it is pushed";

constexpr DockerFlag kFlags[] = {
    {"--load", Value::kNone, "*", "", ""},  // a built image is in the store
    {"--rm", Value::kNone, "*", "", ""},    // what a RUN runs in never outlives it
    {"--force-rm", Value::kNone, "*", "", ""},
    {"--compress", Value::kNone, "*", "", ""},  // the context is not sent anywhere
    {"--disable-content-trust", Value::kNone, "*", "", ""},
    {"--provenance", Value::kText, "false 0", kNoAttestations, kAttestLater},
    {"--sbom", Value::kText, "false 0", kNoAttestations, kAttestLater},
    {"--attest", Value::kText, "type=provenance,disabled=true type=sbom,disabled=true", kNoAttestations, kAttestLater},
    {"--builder", Value::kText, "default", "there is one builder, and no daemon to choose", "leave the flag out"},
    {"--allow", Value::kText, "network.host", "a RUN never gets more power than a container",
     "do what needs it outside of the build"},
    {"--isolation", Value::kText, "default process", "a RUN is isolated in one way: as a container", "leave the flag out"},
    {"--security-opt", Value::kText, "", "every RUN has the default seccomp profile and capabilities",
     "do what needs more outside of the build"},
    {"--squash", Value::kNone, "", "layers are not squashed: each stays what its instruction made",
     "a last stage with FROM scratch and COPY --from=STAGE / / has one layer"},
    {"--policy", Value::kText, "", "there are no build policies", "leave the flag out"},
};

bool is_harmless(const DockerFlag& flag, std::string_view value) {
  const std::string_view harmless = flag.harmless;
  const auto accepted = text::words(harmless);
  return harmless == "*" || std::find(accepted.begin(), accepted.end(), value) != accepted.end();
}

}  // namespace

std::span<const DockerFlag> docker_flags() { return kFlags; }

void check_docker_flags(const std::vector<std::pair<std::string, std::string>>& given) {
  for (const auto& [name, value] : given) {
    for (const DockerFlag& flag : kFlags) {
      if (flag.name == name && !is_harmless(flag, value)) {
        throw fail("{}{}{} can't be had: {}", name, value.empty() ? "" : " ", value, flag.reason).with_hint(flag.hint);
      }
    }
  }
}

}  // namespace jigsaw::build
