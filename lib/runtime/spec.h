// Spec: the whole of an OCI config.json on Linux as plain structs (runtime-spec 1.3: config.md, config-linux.md).
//
// What the kernel pieces understand is held in their own terms: a mount is a rootfs::Mount, limits are cgroups::Limits,
// capabilities are bit sets. So a caller that has no config.json, the engine, fills in the same structs.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cgroups/limits.h"
#include "namespaces/id_maps.h"
#include "rootfs/devices.h"
#include "rootfs/mounts.h"
#include "security/capabilities.h"
#include "security/rlimits.h"
#include "security/seccomp.h"

namespace jigsaw::runtime {

struct ConsoleSize {
  uint16_t height = 0;
  uint16_t width = 0;
};

struct Scheduler {
  std::string policy;  // "SCHED_BATCH"
  int32_t nice = 0;
  int32_t priority = 0;
  std::vector<std::string> flags;
  uint64_t runtime = 0;  // nanoseconds, as the next two, for SCHED_DEADLINE
  uint64_t deadline = 0;
  uint64_t period = 0;
};

struct IoPriority {
  std::string io_class;  // "IOPRIO_CLASS_BE"
  int priority = 0;      // 0-7, 0 is the highest
};

// Which CPUs an exec'd process starts on, and which it runs on then: "0-3,7", "" leaves them.
struct CpuAffinity {
  std::string initial;
  std::string final;
};

struct Process {
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  uid_t uid = 0;
  gid_t gid = 0;
  std::optional<mode_t> umask;
  std::vector<gid_t> additional_gids;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::string cwd = "/";
  std::optional<security::Capabilities> capabilities;  // absent: none at all
  std::vector<security::Rlimit> rlimits;
  bool no_new_privileges = false;
  std::optional<int> oom_score_adj;
  std::optional<Scheduler> scheduler;
  std::optional<IoPriority> io_priority;
  CpuAffinity affinity;
  std::string apparmor_profile;
  std::string selinux_label;
};

struct MountPoint : rootfs::Mount {
  namespaces::IdMaps id_maps;  // of an id-mapped mount; none: it is not one
};

struct Namespace {
  uint64_t kind = 0;  // one CLONE_NEW* flag
  std::string path;   // "": a new one
};

struct Hook {
  std::string path;
  std::vector<std::string> args;
  std::optional<std::vector<std::string>> env;  // absent: the runtime's own, unless it runs inside the container
  std::optional<std::chrono::seconds> timeout;
};
struct Hooks {
  std::vector<Hook> prestart;          // deprecated, with create_runtime
  std::vector<Hook> create_runtime;    // namespaces are there; run in the runtime's
  std::vector<Hook> create_container;  // before pivot_root; run in the container's namespaces
  std::vector<Hook> start_container;   // just before the program; run in the container
  std::vector<Hook> poststart;         // after it was executed
  std::vector<Hook> poststop;          // after the container was deleted
};

struct TimeOffset {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
};

struct MemoryPolicy {
  std::string mode;   // "MPOL_INTERLEAVE"
  std::string nodes;  // "0-3"
  std::vector<std::string> flags;
};

struct Spec {
  std::string version = "1.2.0";
  std::optional<Process> process;  // without one a container can be created, but not started
  std::string root_path;           // relative to the bundle, or absolute
  bool root_read_only = false;
  std::string hostname;
  std::string domainname;
  std::vector<MountPoint> mounts;
  Hooks hooks;
  std::map<std::string, std::string> annotations;

  // linux
  std::vector<Namespace> namespaces;
  namespaces::IdMaps id_maps;
  std::map<std::string, TimeOffset> time_offsets;  // "boottime", "monotonic"
  std::vector<rootfs::Device> devices;             // beside the default ones
  std::map<std::string, std::string> net_devices;  // host's name -> name inside ("" keeps it)
  std::string cgroups_path;
  cgroups::Limits limits;
  std::map<std::string, std::string> sysctl;
  std::optional<security::Seccomp> seccomp;
  uint64_t root_propagation = 0;  // MS_*; 0: private
  std::vector<std::string> masked_paths;
  std::vector<std::string> read_only_paths;
  std::string mount_label;
  std::optional<unsigned long> personality;
  std::optional<MemoryPolicy> memory_policy;
  std::string intel_rdt;  // not "": it was asked for

  bool has_new(uint64_t kind) const;              // a new namespace of this kind
  bool has(uint64_t kind) const;                  // a new one, or one by path
  uint64_t changes() const;                       // kinds whose own settings it sets: names, sysctls
  std::string annotation(const std::string& key) const;  // "" if absent
};

// Reads config.json: `name` is the file's name in messages. Everything unknown is passed over as the specification
// asks; everything known must have its type. Throws with file, line and a caret.
Spec parse_spec(std::string text, const std::string& name = "config.json");
// A "process" object alone, as `exec --process FILE` has it.
Process parse_process(std::string text, const std::string& name);
// The process of a config.json, or one without anything; the rest is not looked at.
Process parse_process_of_spec(std::string text, const std::string& name);
// The same from a file, which may be a pipe: whoever calls us chose it.
Process read_process(const std::string& file);
// A "linux.resources" object alone, as `update --resources FILE` has it.
cgroups::Limits parse_limits(std::string text, const std::string& name);

// Everything that can be said without asking the kernel: versions, ids, contradictions, paths that must be absolute,
// sysctls that are not the container's own. Throws the first thing that is wrong; never touches anything.
void validate(const Spec& spec);
void validate(const Process& process);
// Whether `version` is a version of the specification that we can run: semver, 1.x.
bool is_supported_version(std::string_view version);

}  // namespace jigsaw::runtime
