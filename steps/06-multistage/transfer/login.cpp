#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "base/cli.h"
#include "base/error.h"
#include "base/text.h"
#include "image/credentials.h"
#include "image/reference.h"
#include "process/terminal.h"
#include "transfer/transfer.h"

namespace jigsaw::transfer {
namespace {

struct LoginOptions {
  std::string registry{image::kDefaultRegistry};
  std::string user;
  std::string password;
  bool password_stdin = false;
  RegistryFlags flags;
};

std::string ask(const std::string& question) {
  std::fputs(question.c_str(), stderr);
  std::string answer;
  if (!std::getline(std::cin, answer)) {
    std::fputs("\n", stderr);  // below the question
    throw Error("no answer", "use --username with --password-stdin where nobody can answer");
  }
  return std::string(text::trim(answer));
}

// Typed without being shown.
std::string ask_secret(const std::string& question) {
  std::fputs(question.c_str(), stderr);
  std::string answer;
  {
    const process::RawMode unseen(0);
    for (int c = std::cin.get(); c != EOF && c != '\r' && c != '\n'; c = std::cin.get()) {
      if (c == 3 || c == 4) {  // Ctrl-C, Ctrl-D
        throw Error("no password given");
      }
      if (c == 127 || c == 8) {
        answer.resize(answer.empty() ? 0 : answer.size() - 1);
      } else {
        answer += static_cast<char>(c);
      }
    }
  }
  std::fputs("\n", stderr);
  return answer;
}

// A registry is what stands before the first slash of a reference; many write it as the address of a web page.
std::string registry_name(const std::string& text) {
  std::string name = text;
  for (const std::string_view scheme : {"https://", "http://"}) {
    name = name.starts_with(scheme) ? name.substr(scheme.size()) : name;
  }
  return image::parse_reference(name.substr(0, name.find('/')) + "/x").registry;
}

int login(LoginOptions& options) {
  const std::string registry =
      options.registry == image::kDefaultRegistry ? options.registry : registry_name(options.registry);
  if (options.user.empty() && options.password_stdin) {
    throw Error("--password-stdin without a user name", "say who: jigsaw login --username NAME --password-stdin REGISTRY");
  }
  if (options.user.empty()) {
    options.user = ask("user name: ");
  }
  if (options.password_stdin) {
    std::getline(std::cin, options.password, '\0');
    while (options.password.ends_with('\n') || options.password.ends_with('\r')) {
      options.password.pop_back();
    }
  } else if (options.password.empty()) {
    options.password = ask_secret("password: ");
  }
  if (options.user.empty() || options.password.empty()) {
    throw fail("no {} given", options.user.empty() ? "user name" : "password");
  }
  image::RegistryOptions how = options.flags.options();
  how.given = image::Credentials{options.user, options.password, ""};
  image::Registry(image::Reference{.registry = registry, .repository = {}, .tag = {}, .digest = {}},
                  image::Registry::Access::kPull, how)
      .check_access();
  image::store_credentials(how.credentials, registry, *how.given);
  std::fputs(fmt::format("logged in to {} as {}; the password is in {}\n", registry, options.user,
                         how.credentials.write)
                 .c_str(),
             stderr);
  return 0;
}

struct LogoutOptions {
  std::string registry{image::kDefaultRegistry};
  bool all = false;
  RegistryFlags flags;
};

int logout(const LogoutOptions& options) {
  const image::CredentialFiles files = options.flags.options().credentials;
  const std::vector<std::string> registries =
      options.all                                            ? image::known_registries(files)
      : options.registry == image::kDefaultRegistry ? std::vector<std::string>{options.registry}
                                                             : std::vector<std::string>{registry_name(options.registry)};
  for (const std::string& registry : registries) {
    if (!image::erase_credentials(files, registry)) {
      throw fail("no password for {} is remembered", registry);
    }
    std::fputs(fmt::format("logged out of {}\n", registry).c_str(), stderr);
  }
  return 0;
}

}  // namespace

void add_login(CLI::App& app) {
  CLI::App* command = app.add_subcommand("login", "remember the password for a registry");
  auto options = std::make_shared<LoginOptions>();
  command->add_option("registry", options->registry, "its name (default docker.io)");
  command->add_option("-u,--username", options->user, "who we are there");
  command->add_option("-p,--password", options->password,
                      "better not on the command line, where others can read it");
  command->add_flag("--password-stdin", options->password_stdin, "read the password from standard input");
  add_registry_flags(*command, options->flags);
  cli::on_run(*command, [options] { return login(*options); });
}

void add_logout(CLI::App& app) {
  CLI::App* command = app.add_subcommand("logout", "forget the password for a registry");
  auto options = std::make_shared<LogoutOptions>();
  command->add_option("registry", options->registry, "its name (default docker.io)");
  command->add_flag("-a,--all", options->all, "all that are remembered");
  command->add_option("--authfile", options->flags.authfile,
                      "file with credentials (default: podman's and docker's)");
  cli::on_run(*command, [options] { return logout(*options); });
}

}  // namespace jigsaw::transfer
