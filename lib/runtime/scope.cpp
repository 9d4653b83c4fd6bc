#include "runtime/scope.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "process/exec.h"
#include "process/own_program.h"
#include "process/spawn.h"

namespace jigsaw::runtime {
namespace {

// What it said on stderr, in the form of our messages, as an Error.
Error as_error(std::string_view said) {
  const auto lines = text::lines(said);
  std::string_view what = lines.empty() ? "jigsaw-sdbus failed without a word" : lines.front();
  const size_t error = what.find("error: ");
  what = error == std::string_view::npos ? what : what.substr(error + 7);
  std::string_view hint = lines.size() > 1 ? text::trim(lines[1]) : "";
  hint = hint.starts_with("hint: ") ? hint.substr(6) : hint;
  return Error(std::string(what), std::string(hint));
}

void ask(const std::vector<std::string>& words) {
  process::Program program{{process::companion("jigsaw-sdbus")}, process::current_environment()};
  program.arguments.insert(program.arguments.end(), words.begin(), words.end());
  Pipe pipe = make_pipe();
  process::Child child = process::spawn({.why = "a program of its own speaks with systemd"}, [&](process::Gate&) -> int {
    check(::dup2(pipe.write_end.get(), STDERR_FILENO), "hand on stderr");
    process::exec(program);
  });
  pipe.write_end.reset();
  child.release();
  child.wait_started();
  std::string said;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(pipe.read_end.get(), buffer, sizeof buffer)) > 0;) {
    said.append(buffer, static_cast<size_t>(got));
  }
  if (child.wait().exit_code() != 0) {
    throw as_error(said);
  }
}

cgroups::Version version_of(const cgroups::Layout& layout) {
  const cgroups::Hierarchy* memory = layout.find("memory");
  return memory != nullptr ? memory->version : cgroups::Version::kV2;
}

cgroups::Scope scope_at(const std::string& path) {
  return {.keeper = ::geteuid() == 0 ? cgroups::Scope::Keeper::kSystem : cgroups::Scope::Keeper::kUser,
          .unit = path.substr(path.rfind('/') + 1)};
}

}  // namespace

void start_scope(const cgroups::Scope& scope, pid_t pid, const cgroups::Limits& limits,
                 const std::map<std::string, std::string>& annotations) {
  std::vector<std::string> properties = cgroups::annotated_properties(annotations);
  for (std::string& property : cgroups::scope_properties(limits, version_of(cgroups::read_layout()))) {
    properties.push_back(std::move(property));  // after those of annotations, so that these hold
  }
  ask(cgroups::start_scope_command(scope, pid, properties));
}

cgroups::Cgroup enter_scope(pid_t pid, const cgroups::Limits& limits) {
  const cgroups::Layout layout = cgroups::read_layout();
  // A user's systemd puts the scope below its own cgroup: ask the process where it is.
  const cgroups::Cgroup entered = cgroups::Cgroup::of_process(layout, pid);
  const cgroups::Place* kept = entered.find("name=systemd");
  const std::string path = kept != nullptr ? kept->directory.substr(kept->hierarchy.mount_point.size()) : entered.path();
  cgroups::Cgroup cgroup = cgroups::Cgroup::create(layout, path, {.inhabited = cgroups::CreateOptions::Inhabited::kTake});
  cgroup.move(pid);
  cgroup.apply(limits);
  return cgroup;
}

void end_scope(const std::string& path) {
  try {
    ask(cgroups::stop_scope_command(scope_at(path)));
  } catch (const Error& error) {
    log::warning("{}", error.message());
  }
}

void update_scope(const std::string& path, const cgroups::Limits& limits) {
  const std::vector<std::string> properties = cgroups::scope_properties(limits, version_of(cgroups::read_layout()));
  if (!properties.empty()) {
    ask(cgroups::set_scope_command(scope_at(path), properties));
  }
}

}  // namespace jigsaw::runtime
