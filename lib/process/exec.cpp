#include "process/exec.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "process/signals.h"

namespace jigsaw::process {
namespace {

constexpr size_t kAssignmentsLimit = 1U << 20;  // bytes of a file of them
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

const std::string* find_variable(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& variable : environment) {
    if (variable.size() > name.size() && variable[name.size()] == '=' && variable.starts_with(name)) {
      return &variable;
    }
  }
  return nullptr;
}

void set_variable(std::vector<std::string>& environment, const std::string& assignment) {
  const std::string name = assignment.substr(0, assignment.find('='));
  if (name.empty()) {
    throw fail("the environment variable {} has no name", text::quoted(assignment)).with_hint("write NAME=value");
  }
  std::erase_if(environment, [&](const std::string& variable) { return variable.starts_with(name + "="); });
  if (name.size() < assignment.size()) {
    environment.push_back(assignment);
  } else if (const char* ours = ::getenv(name.c_str()); ours != nullptr) {
    environment.push_back(name + "=" + ours);
  }
}

std::vector<std::string> read_assignments(const std::string& path) {
  std::string content = files::read_fd(files::open(path, O_RDONLY | O_NOCTTY).get(), path, kAssignmentsLimit);  // a pipe too: <(...)
  if (content.starts_with(kByteOrderMark)) {
    content.erase(0, kByteOrderMark.size());
  }
  if (content.find('\0') != std::string::npos) {
    throw fail("{} holds a NUL byte: it is no list of variables", path);
  }
  std::vector<std::string> result;
  int number = 0;
  for (std::string_view line : text::lines(content)) {
    ++number;
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    const std::string_view name = line.substr(0, line.find('='));
    if (name.empty() || name.find_first_of(" \t") != std::string_view::npos) {
      throw fail("{}, line {}: {} is no name of a variable", path, number, text::quoted(name)).with_hint("write NAME=value, or NAME to hand on ours");
    }
    result.emplace_back(line);
  }
  return result;
}

std::vector<std::string> with_assignments_of(const std::vector<std::string>& files, std::vector<std::string> assignments) {
  std::vector<std::string> result;
  for (const std::string& file : files) {
    const std::vector<std::string> read = read_assignments(file);
    result.insert(result.end(), read.begin(), read.end());
  }
  result.insert(result.end(), std::make_move_iterator(assignments.begin()), std::make_move_iterator(assignments.end()));
  return result;
}

std::vector<std::string> container_environment(const std::vector<std::string>& assignments) {
  std::vector<std::string> result = {fmt::format("PATH={}", kDefaultPath), "HOME=/root"};
  set_variable(result, "TERM");
  for (const std::string& assignment : assignments) {
    set_variable(result, assignment);
  }
  return result;
}

std::vector<std::string> current_environment() {
  std::vector<std::string> result;
  for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable) {
    result.emplace_back(*variable);
  }
  return result;
}

std::string find_program(const std::string& name, const std::vector<std::string>& environment) {
  if (name.empty()) {
    throw Error("the name of the program is empty", "", kExitNotFound);
  }
  if (name.find('/') != std::string::npos) {
    return name;
  }
  const std::string* variable = find_variable(environment, "PATH");
  const std::string path = variable != nullptr ? variable->substr(5) : kDefaultPath;
  std::string not_executable;
  for (const std::string_view directory : text::split(path, ':')) {
    const std::string candidate = fmt::format("{}/{}", directory.empty() ? "." : directory, name);
    struct stat status {};
    if (::stat(candidate.c_str(), &status) != 0 || S_ISDIR(status.st_mode)) {
      continue;
    }
    if (::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
    not_executable = not_executable.empty() ? candidate : not_executable;
  }
  if (!not_executable.empty()) {
    throw Error(fmt::format("execute {}: {}", not_executable, errno_text(EACCES)), "give it the x permission: chmod +x",
                kExitNotExecutable);
  }
  throw Error(fmt::format("program {} not found", text::quoted(name)),
              fmt::format("it was looked for in PATH={}", path), kExitNotFound);
}

void exec(const Program& program, sys::Why why) {
  if (program.arguments.empty()) {
    throw Error("no program is given", "", kExitNotFound);
  }
  const std::string path =
      program.file.empty() ? find_program(program.arguments.front(), program.environment) : program.file;
  if (program.output >= 0) {
    check(::dup2(program.output, STDOUT_FILENO), "give the program its standard output");
  }
  restore_signals();
  sys::execve(path, program.arguments, program.environment, why);
}

}  // namespace jigsaw::process
