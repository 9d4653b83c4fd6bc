#include "security/seccomp_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::security {
namespace {

constexpr size_t kMostEntries = 64;
// What we make of rules; former versions made something else.
constexpr int kGeneration = 4;

// The rules as one text: what a cached program was compiled from. Names come with their length: other rules must have
// another text, whatever somebody calls a system call.
std::string canonical(const Seccomp& seccomp) {
  if (seccomp.default_for) {
    return fmt::format("default {:x} for {:x}\n", default_rules_version(), *seccomp.default_for);
  }
  std::string text = fmt::format("{} {} {}\n", seccomp.default_action, seccomp.default_error_number.value_or(EPERM),
                                 fmt::join(seccomp.architectures, ","));
  for (const SeccompRule& rule : seccomp.rules) {
    for (const std::string& name : rule.names) {
      text += fmt::format("{}:{} ", name.size(), name);
    }
    text += fmt::format("{} {}", rule.action, rule.error_number.value_or(EPERM));
    for (const SeccompArgument& argument : rule.arguments) {
      text += fmt::format(" {} {} {} {}", argument.index, argument.comparison, argument.value, argument.second_value);
    }
    text += '\n';
  }
  return text + '\0';
}

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : text) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  return hash;
}

// A program in a file: "FLAGS NOTIFIES LENGTH\n", the rules it was made from (of that length), the instructions.
std::string saved_form(const SeccompProgram& program, std::string_view rules) {
  std::string bytes = fmt::format("{} {} {}\n{}", program.flags, program.notifies ? 1 : 0, rules.size(), rules);
  bytes.append(program.instructions.begin(), program.instructions.end());
  return bytes;
}

// Nothing if the file is none of ours, or was made from other rules than `wanted`.
std::optional<SeccompProgram> parse_saved(std::string_view bytes, std::optional<std::string_view> wanted) {
  const size_t line = bytes.find('\n');
  const auto fields = line == std::string_view::npos ? std::vector<std::string_view>() : text::words(bytes.substr(0, line));
  const auto length = fields.size() == 3 ? text::to_u64(fields[2]) : std::nullopt;
  if (!length || *length > bytes.size() - line - 1 || (wanted && bytes.substr(line + 1, *length) != *wanted)) {
    return std::nullopt;
  }
  bytes.remove_prefix(line + 1 + *length);
  SeccompProgram program;
  program.flags = static_cast<unsigned>(text::parse_u64(fields[0], "the filter's flags", UINT32_MAX));
  program.notifies = fields[1] == "1";
  program.instructions.assign(bytes.begin(), bytes.end());
  return program;
}

// Nothing if it is not there, or if another user may have written it: a state root may lie where others have a hand in it.
std::optional<std::string> read_own(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != ::geteuid() ||
      (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return std::nullopt;
  }
  return files::read_fd(file.get(), path);
}

std::string entry_for(const std::string& directory, const std::string& rules) {
  return fmt::format("{}/{:016x}", directory, fnv1a(rules));
}

}  // namespace

std::string rules_text(const Seccomp& seccomp, const SeccompProgram& flags) {
  return fmt::format("{} {} {} {}", kGeneration, flags.flags, flags.notifies, canonical(seccomp));
}

// An entry begins with the rules it was made from: a hash that fits by accident, or by intent, does no harm.
std::optional<SeccompProgram> take_cached(const std::string& directory, const std::string& rules) {
  if (directory.empty()) {
    return std::nullopt;
  }
  const std::string entry = entry_for(directory, rules);
  const auto bytes = read_own(entry);
  auto found = bytes ? parse_saved(*bytes, rules) : std::nullopt;
  if (found) {
    found->cached_at = entry;
  }
  return found;
}

void keep_cached(SeccompProgram& program, const std::string& directory, const std::string& rules) {
  if (directory.empty()) {
    return;
  }
  files::make_directories(directory, 0700);
  const std::vector<std::string> entries = files::list(directory);
  for (size_t i = 0; entries.size() >= kMostEntries && i < entries.size(); ++i) {
    if (entries[i].find('.') == std::string::npos) {  // not what another process is just writing
      ::unlink(fmt::format("{}/{}", directory, entries[i]).c_str());
    }
  }
  program.cached_at = entry_for(directory, rules);
  files::replace(program.cached_at, saved_form(program, rules), {.sync = false});
}

void save(const SeccompProgram& program, const std::string& path) {
  if (program.cached_at.empty() || ::link(program.cached_at.c_str(), path.c_str()) != 0) {
    files::replace(path, saved_form(program, ""), {.sync = false});
  }
}

std::optional<SeccompProgram> load_saved(const std::string& path) {
  const auto bytes = read_own(path);
  return bytes ? parse_saved(*bytes, std::nullopt) : std::nullopt;
}

}  // namespace jigsaw::security
