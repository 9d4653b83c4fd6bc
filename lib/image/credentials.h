// Credentials: who we are for which registry, read from and written to the files that docker and podman use.
//
//   podman   $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json
//   docker   $DOCKER_CONFIG/config.json, ~/.docker/config.json
//
//     { "auths": { "localhost:5000": { "auth": "<base64 of user:password>" } },
//       "credHelpers": { "gcr.io": "gcloud" }, "credsStore": "secretservice" }
//
// A credential helper is a program, docker-credential-NAME, that answers "get" on its standard input with a JSON
// object. This piece makes no processes: the program hands in how to run one. containers-auth.json(5).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::image {

struct Credentials {
  std::string user;
  std::string password;
  std::string identity_token;  // an OAuth2 refresh token in the place of a password
  bool empty() const { return user.empty() && password.empty() && identity_token.empty(); }
};

// Runs docker-credential-NAME with one argument (get, store, erase), `input` on its standard input; returns what it
// wrote, or nothing if it says no.
using RunHelper =
    std::function<std::optional<std::string>(const std::string& program, const std::string& action, const std::string& input)>;

struct CredentialFiles {
  std::vector<std::string> read;  // in this order; those that are not there are skipped
  std::string write;              // where login puts it
  RunHelper helper;
};
// The files named above; `chosen` (--authfile) takes the place of all of them if it is not "".
CredentialFiles credential_files(const std::string& chosen = {});

// What the files (or their helpers) hold for a registry; `repository` lets auth.json's longer keys
// ("quay.io/team") win. Throws if a file is there but is not what it should be.
std::optional<Credentials> find_credentials(const CredentialFiles& files, const std::string& registry,
                                            const std::string& repository = {});

// Login: adds or replaces the entry of the registry. The file gets mode 0600 and is replaced atomically.
void store_credentials(const CredentialFiles& files, const std::string& registry, const Credentials& credentials);
// Logout: removes it from every file; false if there was none.
bool erase_credentials(const CredentialFiles& files, const std::string& registry);
// What the files have passwords for, as they write it; what only a helper keeps is not in them.
std::vector<std::string> known_registries(const CredentialFiles& files);

std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace jigsaw::image
