#include "runtime/parse.h"

#include <fcntl.h>

#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"

namespace jigsaw::runtime {
namespace parse {
namespace {

constexpr uint64_t kMaxId = 0xfffffffe;  // 4294967295 means "leave it" to the kernel

std::vector<gid_t> ids(const json::View& view) {
  std::vector<gid_t> result;
  view.each([&](const json::View& each) { result.push_back(static_cast<gid_t>(each.unsigned_integer(kMaxId))); });
  return result;
}

std::vector<std::string> environment(const json::View& view) {
  std::vector<std::string> result;
  view.each([&](const json::View& each) { result.push_back(each.string()); });
  return result;
}

void user(const json::View& view, Process& process) {
  process.uid = static_cast<uid_t>(view.find("uid") ? view.at("uid").unsigned_integer(kMaxId) : 0);
  process.gid = static_cast<gid_t>(view.find("gid") ? view.at("gid").unsigned_integer(kMaxId) : 0);
  if (const auto mask = view.find("umask")) {
    process.umask = static_cast<mode_t>(mask->unsigned_integer(0777));
  }
  if (const auto groups = view.find("additionalGids")) {
    process.additional_gids = ids(*groups);
  }
}

security::Rlimit rlimit(const json::View& view) {
  const auto resource = security::rlimit_resource(view.at("type").string());
  if (!resource || !view.at("type").string().starts_with("RLIMIT_")) {
    view.at("type").refuse("is no resource limit of Linux");
  }
  const security::Rlimit limit{*resource, view.at("soft").unsigned_integer(), view.at("hard").unsigned_integer()};
  if (limit.soft > limit.hard) {
    view.refuse("has a soft limit above the hard one");
  }
  return limit;
}

Scheduler scheduler(const json::View& view) {
  return {.policy = view.at("policy").string(),
          .nice = number_or<int32_t>(view, "nice", 0),
          .priority = number_or<int32_t>(view, "priority", 0),
          .flags = view.strings_or_none("flags"),
          .runtime = number_or<uint64_t>(view, "runtime", 0),
          .deadline = number_or<uint64_t>(view, "deadline", 0),
          .period = number_or<uint64_t>(view, "period", 0)};
}

Hook hook(const json::View& view) {
  Hook result{.path = view.at("path").string(), .args = view.strings_or_none("args")};
  optionally(view, "env", result.env, [](const json::View& v) { return v.strings(); });
  if (!result.path.starts_with('/')) {
    view.at("path").refuse("must be an absolute path");
  }
  if (const auto timeout = view.find("timeout")) {
    result.timeout = std::chrono::seconds(timeout->integer(1, 1 << 30));
  }
  return result;
}

std::vector<Hook> hook_list(const json::View& view, std::string_view key) {
  std::vector<Hook> result;
  if (const auto list = view.find(key)) {
    list->each([&](const json::View& each) { result.push_back(hook(each)); });
  }
  return result;
}

MountPoint mount(const json::View& view) {
  MountPoint result;
  result.destination = view.at("destination").string();
  result.type = view.string_or("type", "");
  result.source = view.string_or("source", "");
  const std::vector<std::string> words = view.strings_or_none("options");
  rootfs::apply_options(result, words);
  if (result.type == "bind" && result.kind == rootfs::MountKind::kFileSystem) {
    result.kind = rootfs::MountKind::kBind;
  }
  if (result.kind == rootfs::MountKind::kFileSystem && result.type.empty()) {
    view.refuse("has no type and is no bind mount");
  }
  result.id_maps = id_maps(view, "uidMappings", "gidMappings");
  return result;
}

}  // namespace

security::Capabilities capabilities(const json::View& view) {
  std::vector<std::string> unknown;
  const auto set = [&](std::string_view key) { return security::parse_capabilities(view.strings_or_none(key), &unknown); };
  const security::Capabilities result{.bounding = set("bounding"),
                                      .permitted = set("permitted"),
                                      .effective = set("effective"),
                                      .inheritable = set("inheritable"),
                                      .ambient = set("ambient")};
  if (!unknown.empty()) {
    log::warning("unknown capabilities are left out: {}", text::join(unknown, ", "));
  }
  return result;
}

Process process(const json::View& view) {
  Process result;
  result.terminal = view.boolean_or("terminal", false);
  if (const auto size = view.find("consoleSize")) {
    result.console_size = ConsoleSize{number_or<uint16_t>(*size, "height", 0), number_or<uint16_t>(*size, "width", 0)};
  }
  if (const auto who = view.find("user")) {
    user(*who, result);
  }
  result.args = view.strings_or_none("args");
  if (const auto variables = view.find("env")) {
    result.env = environment(*variables);
  }
  result.cwd = view.string_or("cwd", "");
  optionally(view, "capabilities", result.capabilities, [](const json::View& v) { return capabilities(v); });
  if (const auto list = view.find("rlimits")) {
    list->each([&](const json::View& each) {
      result.rlimits.push_back(rlimit(each));
      for (size_t i = 0; i + 1 < result.rlimits.size(); ++i) {
        if (result.rlimits[i].resource == result.rlimits.back().resource) {
          each.refuse("names a limit for the second time");
        }
      }
    });
  }
  result.no_new_privileges = view.boolean_or("noNewPrivileges", false);
  optionally(view, "oomScoreAdj", result.oom_score_adj,
             [](const json::View& v) { return static_cast<int>(v.integer(-1000, 1000)); });
  optionally(view, "scheduler", result.scheduler, scheduler);
  optionally(view, "ioPriority", result.io_priority, [](const json::View& v) {
    return IoPriority{v.at("class").string(), v.find("priority") ? static_cast<int>(v.at("priority").integer(0, 7)) : 0};
  });
  if (const auto affinity = view.find("execCPUAffinity")) {
    result.affinity = {affinity->string_or("initial", ""), affinity->string_or("final", "")};
  }
  result.apparmor_profile = view.string_or("apparmorProfile", "");
  result.selinux_label = view.string_or("selinuxLabel", "");
  return result;
}

Hooks hooks(const json::View& view) {
  return {.prestart = hook_list(view, "prestart"),
          .create_runtime = hook_list(view, "createRuntime"),
          .create_container = hook_list(view, "createContainer"),
          .start_container = hook_list(view, "startContainer"),
          .poststart = hook_list(view, "poststart"),
          .poststop = hook_list(view, "poststop")};
}

std::vector<MountPoint> mounts(const json::View& view) {
  std::vector<MountPoint> result;
  view.each([&](const json::View& each) { result.push_back(mount(each)); });
  return result;
}

}  // namespace parse

Spec parse_spec(std::string text, const std::string& name) {
  const json::Document document(std::move(text), name);
  const json::View view = document.root();
  Spec spec;
  spec.version = view.at("ociVersion").string();
  if (!is_supported_version(spec.version)) {
    view.at("ociVersion").refuse("is no version of the runtime specification that this runtime knows (1.x)");
  }
  parse::optionally(view, "process", spec.process, parse::process);
  if (const auto root = view.find("root")) {
    spec.root_path = root->at("path").string();
    spec.root_read_only = root->boolean_or("readonly", false);
  }
  spec.hostname = view.string_or("hostname", "");
  spec.domainname = view.string_or("domainname", "");
  if (const auto list = view.find("mounts")) {
    spec.mounts = parse::mounts(*list);
  }
  if (const auto list = view.find("hooks")) {
    spec.hooks = parse::hooks(*list);
  }
  if (const auto map = view.find("annotations")) {
    spec.annotations = map->string_map();
  }
  if (const auto part = view.find("linux")) {
    parse::linux_part(*part, spec);
  }
  return spec;
}

Process parse_process(std::string text, const std::string& name) {
  const json::Document document(std::move(text), name);
  return parse::process(document.root());
}

Process parse_process_of_spec(std::string text, const std::string& name) {
  const json::Document document(std::move(text), name);
  std::optional<Process> process;
  parse::optionally(document.root(), "process", process, parse::process);
  return process.value_or(Process{});
}

cgroups::Limits parse_limits(std::string text, const std::string& name) {
  const json::Document document(std::move(text), name);
  return parse::limits(document.root());
}

Process read_process(const std::string& file) {
  const Fd fd = files::open(file, O_RDONLY | O_NOCTTY);
  return parse_process(files::read_fd(fd.get(), file), file);
}

}  // namespace jigsaw::runtime
