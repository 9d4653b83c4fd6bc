// The image config: what runs by default in an image, for which platform, and the diff_ids of its layers.
//
// The text is kept as it came, since its digest is the image's ID; what is written anew starts from the struct.
// Unknown fields survive in `text` only. Source: OCI image spec, config.md; Docker's extensions (Healthcheck, Shell,
// OnBuild, ArgsEscaped) are read and written too.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/digest.h"
#include "image/manifest.h"

namespace jigsaw::image {

struct Healthcheck {
  std::vector<std::string> test;  // {"NONE"}, {"CMD", argv…} or {"CMD-SHELL", line}
  std::chrono::nanoseconds interval{0};
  std::chrono::nanoseconds timeout{0};
  std::chrono::nanoseconds start_period{0};
  std::chrono::nanoseconds start_interval{0};
  int64_t retries = 0;

  friend bool operator==(const Healthcheck&, const Healthcheck&) = default;
};

// How a container of the image runs: the "config" object.
struct RunConfig {
  std::string user;
  std::vector<std::string> exposed_ports;  // "80/tcp", sorted
  std::vector<std::string> env;            // "NAME=value"
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> volumes;        // sorted
  std::string working_dir;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
  std::optional<Healthcheck> healthcheck;
  std::vector<std::string> shell;
  std::vector<std::string> on_build;
  bool args_escaped = false;  // Docker's mark that CMD is a list of words; the spec calls it deprecated
};

struct History {
  std::string created;  // RFC 3339, or ""
  std::string created_by;
  std::string author;
  std::string comment;
  bool empty_layer = false;
};

struct ImageConfig {
  std::string created;  // RFC 3339, or ""
  std::string author;
  Platform platform;
  RunConfig config;
  std::vector<Digest> diff_ids;  // bottom first; digests of the uncompressed layers
  std::vector<History> history;
};

inline constexpr size_t kConfigLimit = 8U << 20;  // bytes

ImageConfig parse_config(std::string_view text, std::string_view name);
// One line of JSON, keys in the spec's order: the same value gives the same bytes.
std::string write_config(const ImageConfig& config);

// chain_id of each layer: the digest of "<chain_id of its parents> <diff_id>", which names a layer on top of all
// that lies below it. The lowest one's is its diff_id. Source: config.md, "Layer ChainID".
std::vector<Digest> chain_ids(const std::vector<Digest>& diff_ids);

// Throws unless the config is one of an image: what is of another type is not to be read. manifest.md, "config".
void check_is_image(const Manifest& manifest, std::string_view name);
// Throws unless manifest and config agree: as many layers as diff_ids.
void check_agreement(const Manifest& manifest, const ImageConfig& config, std::string_view name);

}  // namespace jigsaw::image
