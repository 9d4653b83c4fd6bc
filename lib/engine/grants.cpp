#include "engine/grants.h"

#include <arpa/inet.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::engine {
namespace {

constexpr size_t kLongestName = 253;  // bytes: RFC 1035, 2.3.4, without the root
constexpr const char* kDeviceForm = "write SOURCE, SOURCE:/DESTINATION or SOURCE:/DESTINATION:rwm";

bool is_access(std::string_view text) {
  return !text.empty() && text.size() <= 3 && text.find_first_not_of("rwm") == std::string_view::npos;
}

bool is_device(const struct stat& status) { return S_ISBLK(status.st_mode) || S_ISCHR(status.st_mode); }

GrantedDevice granted(const std::string& source, const struct stat& status, const std::string& destination, std::string_view access) {
  using Rule = cgroups::DeviceRule;
  const bool block = S_ISBLK(status.st_mode);
  return {.device = {.path = destination,
                     .type = block ? 'b' : 'c',
                     .major = major(status.st_rdev),
                     .minor = minor(status.st_rdev),
                     .mode = status.st_mode & 0777,
                     .uid = status.st_uid,
                     .gid = status.st_gid,
                     .source = source},
          .rule = {Rule::Answer::kAllow, block ? Rule::Kind::kBlock : Rule::Kind::kCharacter, major(status.st_rdev), minor(status.st_rdev),
                   std::string(access)}};
}

// Links and other file systems (/dev/pts, /dev/shm) are left out: what they hold is not the directory's. So is the console: a
// container with a terminal has one of its own.
std::vector<GrantedDevice> devices_in(const std::string& source, dev_t file_system, const std::string& destination, std::string_view access) {
  std::vector<GrantedDevice> found;
  for (const std::string& name : files::list(source)) {
    const std::string path = fmt::format("{}/{}", source, name);
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0 || path == "/dev/console") {
      continue;  // gone meanwhile, as devices may
    }
    const std::string inside = fmt::format("{}/{}", destination, name);
    if (is_device(status)) {
      found.push_back(granted(path, status, inside, access));
    } else if (S_ISDIR(status.st_mode) && status.st_dev == file_system) {
      const auto below = devices_in(path, file_system, inside, access);
      found.insert(found.end(), below.begin(), below.end());
    }
  }
  return found;
}

// "/dev/x/../null/" -> "/dev/null"
std::string plain_path(std::string_view text) {
  std::string path = std::filesystem::path(text).lexically_normal().string();
  while (path.size() > 1 && path.ends_with('/')) {
    path.pop_back();
  }
  return path;
}

}  // namespace

Volume parse_volume(const std::string& text) {
  const std::vector<std::string_view> parts = text::split(text, ':');
  const bool read_only = parts.size() == 3 && parts[2] == "ro";
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty() || !parts[1].starts_with('/') ||
      (parts.size() == 3 && !read_only && parts[2] != "rw")) {
    throw Error(fmt::format("{} is no volume", text::quoted(text)), "write SOURCE:/DESTINATION or SOURCE:/DESTINATION:ro");
  }
  const std::filesystem::path source = std::filesystem::absolute(std::string(parts[0]));
  if (!std::filesystem::exists(source)) {
    throw Error(fmt::format("the volume's source {} does not exist", source.string()), "make the directory or file first");
  }
  return Volume{source.lexically_normal().string(), std::string(parts[1]), read_only};
}

std::vector<GrantedDevice> parse_device(const std::string& text) {
  std::vector<std::string_view> parts = text::split(text, ':');
  std::string_view access = "rwm";
  if (parts.size() > 1 && !parts.back().starts_with('/')) {
    access = parts.back();
    parts.pop_back();
  }
  if (parts.size() > 2 || !parts.front().starts_with('/') || !is_access(access)) {
    throw Error(fmt::format("{} is no device of the host", text::quoted(text)), kDeviceForm);
  }
  const std::string source = plain_path(parts.front());
  const std::string destination = plain_path(parts.back());
  struct stat status {};
  const int rc = ::stat(source.c_str(), &status);
  if (rc != 0 && errno == ENOENT) {
    throw Error(fmt::format("the device {} does not exist", text::quoted(source)), "ls /dev shows those that do");
  }
  check(rc, "look at the device {}", source);
  std::vector<GrantedDevice> found;
  if (S_ISDIR(status.st_mode)) {
    found = devices_in(source, status.st_dev, destination, access);
  } else if (is_device(status)) {
    found.push_back(granted(source, status, destination, access));
  }
  if (found.empty()) {
    throw Error(fmt::format("{} is no device, and no directory with one", text::quoted(source)), "a file or directory is given with -v");
  }
  return found;
}

std::string parse_host(const std::string& text) {
  const size_t separator = text.find_first_of("=:");
  const std::string name = text.substr(0, separator);
  std::string address = separator == std::string::npos ? "" : text.substr(separator + 1);
  if (address == "host-gateway") {
    throw Error("--add-host: there is no gateway to the host: a container has no network of its own that leads to it",
                "with --network host, 127.0.0.1 is the host");
  }
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  in6_addr parsed{};
  if (::inet_pton(AF_INET, address.c_str(), &parsed) != 1 && ::inet_pton(AF_INET6, address.c_str(), &parsed) != 1) {
    throw Error(fmt::format("--add-host must be NAME:ADDRESS, not {}", text::quoted(text)), "write it like db:10.0.0.7 or db:[fd00::7]");
  }
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_'; });
  if (!plain || name.empty() || name.size() > kLongestName) {
    throw Error(fmt::format("--add-host: {} is no name of a host", text::quoted(name)), "letters, digits, '.', '-' and '_', 253 at most");
  }
  return fmt::format("{}\t{}\n", address, name);
}

}  // namespace jigsaw::engine
