// plan: what the user asked for and what the image says become a runtime::Spec. Pure: no privilege, no side effect.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cgroups/limits.h"
#include "engine/grants.h"
#include "image/config.h"
#include "runtime/spec.h"
#include "security/user.h"

namespace jigsaw::engine {

struct RunOptions {
  std::string image;                          // a reference, or an id of an image in the store
  std::vector<std::string> arguments;         // in place of the image's Cmd
  std::string name;
  std::optional<std::vector<std::string>> entrypoint;
  std::vector<std::string> environment;       // NAME=value, or NAME to take ours
  std::string working_directory;
  std::string user;                           // user[:group], names or numbers
  std::vector<std::string> groups;            // further ones, names or numbers
  std::string hostname;                       // default: the first 12 digits of the id
  std::string network = "none";               // "none" or "host"
  std::vector<std::string> hosts;             // lines for /etc/hosts, with their ends
  std::vector<Volume> volumes;
  std::vector<GrantedDevice> devices;
  std::vector<std::string> tmpfs;             // DIR[:options]
  std::string shm_size;                       // of /dev/shm: "64m"
  std::vector<std::string> add_capabilities;  // "NET_ADMIN", "CAP_NET_ADMIN", "ALL"
  std::vector<std::string> drop_capabilities;
  std::vector<std::string> ulimits;           // nofile=1024:2048
  std::vector<std::string> sysctls;           // key=value
  cgroups::LimitTexts limits;
  std::string pid_mode;                       // "" or "host"
  bool read_only = false;
  bool terminal = false;                      // -t
  bool interactive = false;                   // -i
  bool remove_after = false;                  // --rm
  bool no_new_privileges = false;
  bool unconfined = false;                    // no seccomp profile
  bool privileged = false;
};

// Throws for what is wrong whatever the image is: before one is fetched.
void validate(const RunOptions& options);

// Entry point and arguments as docker combines them: an entry point given by the user drops the image's Cmd. Throws if
// nothing is left to run.
std::vector<std::string> command_of(const image::RunConfig& config, const RunOptions& options);
// PATH, HOSTNAME and TERM, then the image's variables, then the user's, then HOME if nobody set it; a later value
// replaces an earlier one.
std::vector<std::string> environment_of(const image::RunConfig& config, const RunOptions& options,
                                        const std::string& hostname, const security::User& user);

struct PlanInput {
  const image::RunConfig& config;
  const RunOptions& options;
  const security::User& user;
  std::string id;
  std::string files;  // directory with the container's own hosts, hostname and resolv.conf
};
runtime::Spec plan(const PlanInput& input);

}  // namespace jigsaw::engine
