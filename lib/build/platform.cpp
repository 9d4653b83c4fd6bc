#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"
#include "build/stages.h"

namespace jigsaw::build {
namespace {

// The usual names of architectures, as Go and OCI images write them.
void normalise(Platform& platform) {
  std::string& name = platform.architecture;
  name = text::lower(name);
  platform.variant = text::lower(platform.variant);
  if (name == "x86_64" || name == "x86-64") {
    name = "amd64";
  } else if (name == "i386" || name == "i686") {
    name = "386";
  } else if (name == "aarch64") {
    name = "arm64";
  } else if (name == "armhf" || name == "armv7l") {
    name = "arm";
    platform.variant = "v7";
  } else if (name == "armel") {
    name = "arm";
    platform.variant = "v6";
  }
  if (name == "amd64" && platform.variant == "v1") {
    platform.variant.clear();
  }
  if (name == "arm64" && (platform.variant == "8" || platform.variant == "v8")) {
    platform.variant.clear();
  }
  if (name == "arm") {
    platform.variant = platform.variant.empty() ? "v7" : platform.variant;
    platform.variant = platform.variant[0] == 'v' ? platform.variant : "v" + platform.variant;
  }
}

bool is_part(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
  });
}

bool is_system(std::string_view name) {
  static constexpr std::array<std::string_view, 14> kSystems = {
      "aix",  "android", "darwin",  "dragonfly", "freebsd", "illumos", "ios",
      "js", "linux",   "netbsd",  "openbsd",   "plan9",   "solaris", "windows"};
  return std::find(kSystems.begin(), kSystems.end(), name) != kSystems.end();
}

}  // namespace

std::string Platform::text() const {
  return variant.empty() ? fmt::format("{}/{}", os, architecture) : fmt::format("{}/{}/{}", os, architecture, variant);
}

Platform host_platform() {
  struct utsname machine {};
  check(::uname(&machine), "ask for the machine's name");
  Platform platform{.architecture = machine.machine};
  normalise(platform);
  return platform;
}

Platform parse_platform(std::string_view text) {
  const std::vector<std::string_view> parts = text::split(text, '/');
  if (parts.size() > 3 || !std::all_of(parts.begin(), parts.end(), is_part)) {
    throw Error(fmt::format("{} is an invalid platform", text::quoted(text)),
                "write it as linux/amd64, linux/arm64 or linux/arm/v7");
  }
  Platform platform = host_platform();
  if (parts.size() == 1 && is_system(text::lower(parts[0]))) {
    platform.os = text::lower(parts[0]);
    return platform;
  }
  platform.variant.clear();
  if (parts.size() == 1) {
    platform.architecture = parts[0];
  } else {
    platform.os = text::lower(parts[0]);
    platform.architecture = parts[1];
    platform.variant = parts.size() == 3 ? parts[2] : "";
  }
  normalise(platform);
  return platform;
}

}  // namespace jigsaw::build
