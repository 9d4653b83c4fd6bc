// The commands of jigsaw-transfer, and what they share.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "image/registry.h"
#include "image/store.h"

namespace CLI {
class App;
}

namespace jigsaw::transfer {

void add_pull(CLI::App& app);
void add_push(CLI::App& app);
void add_login(CLI::App& app);
void add_logout(CLI::App& app);
void add_save(CLI::App& app);
void add_load(CLI::App& app);
void add_copy(CLI::App& app);
void add_fetch(CLI::App& app);

// How to speak to registries, as options of a command.
struct RegistryFlags {
  std::string tls_verify = "true";
  std::string certificates;
  std::string credentials;  // USER:PASSWORD
  std::string authfile;
  std::vector<std::string> mirrors;
  unsigned attempts = 5;
  unsigned connect_limit = 20;  // seconds
  unsigned stall_limit = 60;    // seconds

  image::RegistryOptions options() const;
};
void add_registry_flags(CLI::App& command, RegistryFlags& flags);

// --quiet, and what it leaves of the progress.
struct Output {
  bool quiet = false;
  std::unique_ptr<progress::Reporter> reporter() const;
};
void add_output(CLI::App& command, Output& output);

// --platform OS/ARCH[/VARIANT]
std::optional<image::Platform> platform_of(const std::string& text);

}  // namespace jigsaw::transfer
