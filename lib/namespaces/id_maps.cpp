#include "namespaces/id_maps.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "process/exec.h"
#include "process/spawn.h"

namespace jigsaw::namespaces {
namespace {

constexpr uint64_t kIdLimit = 0xffffffff;  // the last value means "no id"
constexpr size_t kMostRanges = 340;       // lines of a map (user_namespaces(7), since Linux 4.15)

// The login name of `uid`, from /etc/passwd: static programs have no NSS.
std::string user_name(uid_t uid) {
  const std::string number = std::to_string(uid);
  const std::string passwd = files::read_if_exists("/etc/passwd").value_or("");
  for (const std::string_view line : text::lines(passwd)) {
    const auto fields = text::split(line, ':');
    if (fields.size() > 2 && fields[2] == number) {
      return std::string(fields[0]);
    }
  }
  return number;
}

std::vector<IdRange> with_subordinates(uint32_t own, const std::string& file, const std::string& user, uid_t uid) {
  std::vector<IdRange> map = {IdRange{0, own, 1}};
  uint64_t inside = 1;
  for (IdRange range : subordinate_ids(files::read_if_exists(file).value_or(""), user, uid)) {
    range.inside = static_cast<uint32_t>(inside);
    inside += range.count;
    if (inside < kIdLimit) {
      map.push_back(range);
    }
  }
  return map;
}

std::string kernel_text(const std::vector<IdRange>& ranges) {
  std::string lines;
  for (const IdRange& range : ranges) {
    lines += fmt::format("{} {} {}\n", range.inside, range.outside, range.count);
  }
  return lines;
}

// newuidmap(1) and newgidmap(1) come in a package of their own (uidmap). Without them root is the only id there is inside.
bool is_installed(const std::string& tool) {
  try {
    process::find_program(tool, process::current_environment());
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool only_own(const std::vector<IdRange>& ranges, uint32_t own) {
  return ranges.size() == 1 && ranges.front().outside == own && ranges.front().count == 1;
}

void run_tool(const std::string& tool, pid_t pid, const std::vector<IdRange>& ranges) {
  std::vector<std::string> words = {tool, std::to_string(pid)};
  for (const IdRange& range : ranges) {
    for (const uint32_t number : {range.inside, range.outside, range.count}) {
      words.push_back(std::to_string(number));
    }
  }
  process::Child child = process::spawn({.why = "only this setuid program may map more than our own id"},
                                        [&](process::Gate&) -> int {
                                          process::exec({words, process::current_environment()});
                                        });
  child.release();
  child.wait_started();
  if (const process::ExitStatus status = child.wait(); status.exit_code() != 0) {
    throw Error(fmt::format("{} refused the id map ({})", tool, status.text()),
                fmt::format("its ranges must be given to this user in /etc/{}", tool == "newuidmap" ? "subuid" : "subgid"));
  }
}

void write_map(pid_t pid, const char* file, const std::vector<IdRange>& ranges, uint32_t own, const std::string& tool) {
  if (::geteuid() != 0 && !only_own(ranges, own)) {
    run_tool(tool, pid, ranges);
    return;
  }
  try {
    sys::write_file(fmt::format("/proc/{}/{}", pid, file), kernel_text(ranges),
                    "which id outside stands behind each id in the user namespace");
  } catch (Error& error) {
    throw std::move(error).with_hint("user namespaces may be restricted: see /proc/sys/user/max_user_namespaces and "
                                     "/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
  }
}

}  // namespace

std::vector<IdRange> subordinate_ids(const std::string& file_text, const std::string& user, uid_t uid) {
  std::vector<IdRange> result;
  for (const std::string_view line : text::lines(file_text)) {
    const auto fields = text::split(text::trim(line), ':');
    if (fields.size() != 3 || (fields[0] != user && fields[0] != std::to_string(uid))) {
      continue;
    }
    const auto first = text::to_u64(fields[1]);
    const auto count = text::to_u64(fields[2]);
    if (first && count && *count > 0 && *first < kIdLimit && *count <= kIdLimit - *first) {
      result.push_back(IdRange{0, static_cast<uint32_t>(*first), static_cast<uint32_t>(*count)});
    }
  }
  return result;
}

bool needs_user_namespace() { return ::geteuid() != 0; }

bool in_user_namespace() {
  const std::string map = files::read("/proc/self/uid_map");
  const auto words = text::words(map);
  return words.size() != 3 || words[0] != "0" || words[1] != "0" || words[2] != "4294967295";
}

IdMaps own_maps() {
  return needs_user_namespace() ? rootless_maps() : IdMaps{{{0, 0, 65536}}, {{0, 0, 65536}}};
}

IdMaps rootless_maps() {
  const std::string user = user_name(::geteuid());
  if (::geteuid() != 0 && !(is_installed("newuidmap") && is_installed("newgidmap"))) {
    return IdMaps{{{0, ::geteuid(), 1}}, {{0, ::getegid(), 1}}};
  }
  return IdMaps{with_subordinates(::geteuid(), "/etc/subuid", user, ::geteuid()),
                with_subordinates(::getegid(), "/etc/subgid", user, ::geteuid())};
}

std::optional<uint32_t> to_outside(const std::vector<IdRange>& ranges, uint32_t inside) {
  for (const IdRange& range : ranges) {
    if (inside >= range.inside && inside - range.inside < range.count) {
      return range.outside + (inside - range.inside);
    }
  }
  return std::nullopt;
}

void check_ranges(const std::vector<IdRange>& ranges, const std::string& what) {
  const auto overlap = [](uint64_t a, uint64_t a_count, uint64_t b, uint64_t b_count) {
    return a < b + b_count && b < a + a_count;
  };
  if (ranges.size() > kMostRanges) {
    throw fail("{}: {} ranges are more than the kernel takes", what, ranges.size())
        .with_hint(fmt::format("a map has at most {} lines (user_namespaces(7)): join ranges that touch", kMostRanges));
  }
  for (size_t i = 0; i < ranges.size(); ++i) {
    const IdRange& range = ranges[i];
    if (range.count == 0 || uint64_t{range.inside} + range.count > kIdLimit ||
        uint64_t{range.outside} + range.count > kIdLimit) {
      throw fail("{}: the range {} {} {} is empty or runs over the last id", what, range.inside, range.outside, range.count);
    }
    for (size_t j = 0; j < i; ++j) {
      if (overlap(range.inside, range.count, ranges[j].inside, ranges[j].count) ||
          overlap(range.outside, range.count, ranges[j].outside, ranges[j].count)) {
        throw fail("{}: two ranges overlap at {}", what, range.inside);
      }
    }
  }
}

void write_id_maps(pid_t pid, const IdMaps& maps) {
  check_ranges(maps.uids, "the user ids");
  check_ranges(maps.gids, "the group ids");
  if (::geteuid() != 0 && only_own(maps.gids, ::getegid())) {
    sys::write_file(fmt::format("/proc/{}/setgroups", pid), "deny",
                    "without privilege a group map is only allowed once groups can't be dropped any more");
  }
  write_map(pid, "gid_map", maps.gids, ::getegid(), "newgidmap");
  write_map(pid, "uid_map", maps.uids, ::geteuid(), "newuidmap");
}

}  // namespace jigsaw::namespaces
