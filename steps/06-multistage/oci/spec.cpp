#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "oci/commands.h"
#include "runtime/features.h"

namespace jigsaw::oci {

void add_features(CLI::App& app) {
  CLI::App* command = app.add_subcommand("features", "what this runtime can do, as JSON");
  on_run(*command, [] { return std::fputs(runtime::features_json().c_str(), stdout), 0; });
}

void add_spec(CLI::App& app) {
  CLI::App* command = app.add_subcommand("spec", "write a config.json to start from");
  static std::string bundle = ".";
  static std::string file = "config.json";
  static bool rootless = false;
  command->add_option("-b,--bundle", bundle, "directory to write it to");
  command->add_option("-f,--file", file, "its name");
  command->add_flag("--rootless", rootless, "for a user without privilege");
  on_run(*command, [] {
    const std::filesystem::path path = std::filesystem::path(bundle) / file;
    if (std::filesystem::exists(path)) {
      throw Error(fmt::format("{} exists already", path.string()), "remove it first");
    }
    files::replace(path, runtime::example_config(rootless ? runtime::Privilege::kRootless : runtime::Privilege::kRoot), {.mode = 0644});
    return 0;
  });
}

}  // namespace jigsaw::oci
