#include <CLI/CLI.hpp>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "commands/settings.h"
#include "process/capture.h"
#include "transfer/transfer.h"

namespace jigsaw::transfer {
namespace {

constexpr int kStandardError = 2;

std::optional<std::string> run_helper(const std::string& program, const std::string& action,
                                      const std::string& input) {
  const process::Captured answer = process::capture(
      {.arguments = {program, action}, .environment = process::current_environment(), .file = {}}, input);
  return answer.status.exit_code() == 0 ? std::optional(answer.output) : std::nullopt;
}

}  // namespace

void add_registry_flags(CLI::App& command, RegistryFlags& flags) {
  command.add_flag("--tls-verify{true}", flags.tls_verify,
                   "=false: accept any certificate, and registries without TLS");
  command.add_option("--cert-dir", flags.certificates,
                     "*.crt in this directory are trusted; *.cert and *.key are ours");
  command.add_option("--creds", flags.credentials, "USER:PASSWORD, in the place of those of 'jigsaw login'");
  command.add_option("--authfile", flags.authfile, "file with credentials (default: podman's and docker's)");
  command
      .add_option("--mirror", flags.mirrors,
                  "ask HOST[:PORT] first for docker.io, or REGISTRY=HOST[:PORT]; $JIGSAW_MIRRORS")
      ->allow_extra_args(false);
  command.add_option("--retry", flags.attempts, "how often a request is tried (default 5)")
      ->check(CLI::Range(1, 100));
  command.add_option("--connect-timeout", flags.connect_limit,
                     "seconds to wait for a connection (default 20)");
  command.add_option("--stall-timeout", flags.stall_limit, "seconds to wait for the next byte (default 60)")
      ->check(CLI::Range(1, 86400));
}

image::RegistryOptions RegistryFlags::options() const {
  if (tls_verify != "true" && tls_verify != "false") {
    throw fail("--tls-verify is true or false, not {}", text::quoted(tls_verify));
  }
  image::RegistryOptions options;
  options.http = {.verify = tls_verify == "true" ? image::TlsVerify::kYes : image::TlsVerify::kNo,
                  .certificates = certificates,
                  .connect_limit = std::chrono::seconds(connect_limit),
                  .stall_limit = std::chrono::seconds(stall_limit)};
  options.credentials = image::credential_files(authfile);
  options.credentials.helper = run_helper;
  if (!credentials.empty()) {
    const size_t colon = credentials.find(':');
    if (colon == std::string::npos) {
      throw Error("--creds takes USER:PASSWORD");
    }
    options.given = image::Credentials{credentials.substr(0, colon), credentials.substr(colon + 1), ""};
  }
  options.mirrors = mirrors;
  if (const char* more = std::getenv("JIGSAW_MIRRORS"); more != nullptr) {
    for (const std::string_view each : text::split(std::string_view(more), ',')) {
      if (!each.empty()) {
        options.mirrors.emplace_back(each);
      }
    }
  }
  options.attempts = attempts;
  return options;
}

void add_output(CLI::App& command, Output& output) {
  command.add_flag("-q,--quiet", output.quiet, "no progress");
}

std::unique_ptr<progress::Reporter> Output::reporter() const {
  return progress::make_reporter(kStandardError, quiet ? progress::Style::kQuiet : progress::Style::kAuto);
}

std::optional<image::Platform> platform_of(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(image::parse_platform(text));
}

}  // namespace jigsaw::transfer
