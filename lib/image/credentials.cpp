#include "image/credentials.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "image/reference.h"

namespace jigsaw::image {
namespace {

constexpr size_t kFileLimit = 1U << 20;
constexpr std::string_view kDockerHubKey = "https://index.docker.io/v1/";
constexpr std::string_view kTokenUser = "<token>";  // a helper's way to say: the secret is an identity token

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? "" : value;
}

// "https://host/v1/" -> "host": older files have URLs as keys.
std::string plain_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) {
      key.remove_prefix(scheme.size());
      return std::string(key.substr(0, key.find('/')));
    }
  }
  return std::string(key);
}

bool same_registry(std::string_view key, std::string_view registry) {
  const std::string plain = plain_key(key);
  const auto is_hub = [](std::string_view name) {
    return name == "docker.io" || name == "index.docker.io" || name == "registry-1.docker.io";
  };
  return plain == registry || (is_hub(plain) && is_hub(registry));
}

// The keys that may hold the credentials of registry/a/b: itself, registry/a, registry.
std::vector<std::string> keys_for(const std::string& registry, const std::string& repository) {
  std::vector<std::string> keys;
  for (std::string key = registry + "/" + repository; key.size() > registry.size(); key.resize(key.rfind('/'))) {
    keys.push_back(key);
  }
  return keys;
}

Credentials read_entry(const json::View& entry) {
  Credentials found;
  found.user = entry.string_or("username", "");
  found.password = entry.string_or("password", "");
  found.identity_token = entry.string_or("identitytoken", "");
  const std::string auth = entry.string_or("auth", "");
  if (!auth.empty()) {
    const auto decoded = base64_decode(auth);
    const size_t colon = decoded ? decoded->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      entry.refuse("holds no base64 of user:password in auth", "log in again with 'jigsaw login'");
    }
    found.user = decoded->substr(0, colon);
    found.password = decoded->substr(colon + 1);
    found.password.resize(std::min(found.password.size(), found.password.find('\0')));
  }
  return found;
}

std::optional<std::string> call_helper(const CredentialFiles& files, const std::string& name, const std::string& action,
                                       const std::string& input) {
  const std::string program = "docker-credential-" + name;
  try {
    return files.helper(program, action, input);
  } catch (Error& error) {
    throw std::move(error).with_code(kExitFailure).with_hint(
        fmt::format("a file with credentials names it: install {}, or take it out of credHelpers and credsStore", program));
  }
}

std::optional<Credentials> ask_helper(const CredentialFiles& files, const std::string& helper, const std::string& registry) {
  if (!files.helper || helper.empty() || helper.find('/') != std::string::npos) {
    return std::nullopt;
  }
  const std::string key(registry == kDefaultRegistry ? kDockerHubKey : std::string_view(registry));
  const auto answer = call_helper(files, helper, "get", key);
  if (!answer) {
    return std::nullopt;
  }
  const json::Document document(*answer, "answer of docker-credential-" + helper);
  Credentials found{.user = document.root().at("Username").string(),
                    .password = document.root().at("Secret").string(), .identity_token = {}};
  if (found.user == kTokenUser) {
    found.identity_token = std::exchange(found.password, {});
    found.user.clear();
  }
  return found.empty() ? std::nullopt : std::optional(found);
}

std::optional<std::string> helper_for(const json::View& root, const std::string& registry) {
  std::optional<std::string> helper;
  if (const auto helpers = root.find("credHelpers")) {
    helpers->each_member([&](const std::string& key, const json::View& name) {
      if (same_registry(key, registry)) {
        helper = name.string();
      }
    });
  }
  return helper;
}

std::optional<Credentials> find_entry(const json::View& root, const std::string& registry, const std::string& repository) {
  const auto auths = root.find("auths");
  if (!auths) {
    return std::nullopt;
  }
  std::optional<Credentials> found;
  for (const std::string& key : repository.empty() ? std::vector<std::string>{} : keys_for(registry, repository)) {
    if (const auto entry = auths->find(key); entry && !found) {
      found = read_entry(*entry);
    }
  }
  auths->each_member([&](const std::string& key, const json::View& entry) {
    if ((!found || found->empty()) && same_registry(key, registry)) {
      found = read_entry(entry);
    }
  });
  return found && !found->empty() ? found : std::nullopt;
}

std::optional<Credentials> find_in(const CredentialFiles& files, const std::string& path, const std::string& text,
                                   const std::string& registry, const std::string& repository) {
  const json::Document document(text, path);
  if (const auto helper = helper_for(document.root(), registry)) {
    return ask_helper(files, *helper, registry);
  }
  if (const auto found = find_entry(document.root(), registry, repository)) {
    return found;
  }
  return ask_helper(files, document.root().string_or("credsStore", ""), registry);
}

json::Value read_file(const std::string& path) {
  const auto text = files::read_if_exists(path, kFileLimit);
  json::Value value = text && !text::trim(*text).empty() ? json::parse(*text, path) : json::Value::object();
  if (!value.is_object() || (value.contains("auths") && !value["auths"].is_object())) {
    throw fail("{} is no file of registry credentials", path);
  }
  return value;
}

void write_file(const std::string& path, const json::Value& value) {
  files::make_directories(std::filesystem::path(path).parent_path().string(), 0700);
  files::replace(path, json::dump_pretty(value), {.mode = 0600});
}

}  // namespace

CredentialFiles credential_files(const std::string& chosen) {
  CredentialFiles files;
  const std::string home = environment("HOME");
  const std::string podman = environment("REGISTRY_AUTH_FILE");
  if (!chosen.empty() || !podman.empty()) {
    files.write = chosen.empty() ? podman : chosen;
    files.read = {files.write};
    return files;
  }
  if (const std::string runtime = environment("XDG_RUNTIME_DIR"); !runtime.empty()) {
    files.read.push_back(runtime + "/containers/auth.json");
  }
  const std::string config = environment("XDG_CONFIG_HOME");
  files.read.push_back((config.empty() ? home + "/.config" : config) + "/containers/auth.json");
  const std::string docker = environment("DOCKER_CONFIG");
  files.read.push_back((docker.empty() ? home + "/.docker" : docker) + "/config.json");
  files.write = files.read.back();
  return files;
}

std::optional<Credentials> find_credentials(const CredentialFiles& files, const std::string& registry,
                                            const std::string& repository) {
  for (const std::string& path : files.read) {
    if (const auto text = files::read_if_exists(path, kFileLimit); text && !text::trim(*text).empty()) {
      if (const auto found = find_in(files, path, *text, registry, repository)) {
        return found;
      }
    }
  }
  return std::nullopt;
}

void store_credentials(const CredentialFiles& files, const std::string& registry, const Credentials& credentials) {
  json::Value value = read_file(files.write);
  const std::string key(registry == kDefaultRegistry ? kDockerHubKey : std::string_view(registry));
  const std::string store = value.value("credsStore", "");
  if (!store.empty() && files.helper) {
    const json::Value secret = {{"ServerURL", key}, {"Username", credentials.user}, {"Secret", credentials.password}};
    if (call_helper(files, store, "store", json::dump(secret))) {
      return;
    }
    throw fail("docker-credential-{}, named in {}, did not store the password", store, files.write);
  }
  value["auths"][key] = {{"auth", base64_encode(credentials.user + ":" + credentials.password)}};
  write_file(files.write, value);
}

bool erase_credentials(const CredentialFiles& files, const std::string& registry) {
  bool erased = false;
  for (const std::string& path : files.read) {
    if (!files::exists(path)) {
      continue;
    }
    json::Value value = read_file(path);
    const std::string store = value.value("credsStore", "");
    const std::string key(registry == kDefaultRegistry ? kDockerHubKey : std::string_view(registry));
    if (!store.empty() && files.helper && call_helper(files, store, "erase", key)) {
      erased = true;
    }
    json::Value kept = json::Value::object();
    const json::Value auths = value.value("auths", json::Value::object());
    for (const auto& [name, entry] : auths.items()) {
      if (!same_registry(name, registry)) {
        kept[name] = entry;
      }
    }
    if (kept.size() != auths.size()) {
      value["auths"] = kept;
      write_file(path, value);
      erased = true;
    }
  }
  return erased;
}

std::vector<std::string> known_registries(const CredentialFiles& files) {
  std::set<std::string> names;
  for (const std::string& path : files.read) {
    if (files::exists(path)) {
      const json::Value auths = read_file(path).value("auths", json::Value::object());
      for (const auto& [name, entry] : auths.items()) {
        names.insert(std::string(plain_key(name)));
      }
    }
  }
  return {names.begin(), names.end()};
}

namespace {
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) {
      group = (group << 8U) | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += k <= count ? kBase64[(group >> (18 - 6 * k)) & 63U] : '=';
    }
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  while (text.ends_with('=')) {
    text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) {
    return std::nullopt;
  }
  std::string bytes;
  uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const size_t value = kBase64.find(c);
    if (value == std::string_view::npos) {
      return std::nullopt;
    }
    group = (group << 6U) | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((group >> bits) & 255U);
    }
  }
  return bytes;
}

}  // namespace jigsaw::image
