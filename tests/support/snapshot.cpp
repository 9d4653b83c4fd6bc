#include "support/snapshot.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::test {
namespace {

std::string sorted(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  std::string result;
  for (const std::string& line : lines) {
    result += line + "\n";
  }
  return result;
}

// "36 35 98:0 /mnt1 /mnt2 rw,noatime …": root, mount point, options and type; ids change and are left out.
std::string mounts() {
  std::vector<std::string> found;
  const std::string table = files::read("/proc/self/mountinfo");
  for (const std::string_view line : text::lines(table)) {
    const auto fields = text::words(line);
    found.emplace_back(fmt::format("{} {} {}", fields[3], fields[4], line.substr(line.find(" - ") + 3)));
  }
  return sorted(found);
}

// A recursive_directory_iterator would end where a directory goes while it is being read.
void add_directories(const std::filesystem::path& top, std::vector<std::string>& found) {
  std::error_code ignored;
  for (auto at = std::filesystem::directory_iterator(top, ignored); at != std::filesystem::directory_iterator(); at.increment(ignored)) {
    if (at->is_directory(ignored) && !at->is_symlink(ignored)) {
      found.push_back(at->path().string());
      add_directories(at->path(), found);
    }
  }
}

std::string cgroups() {
  std::vector<std::string> found;
  add_directories("/sys/fs/cgroup", found);
  return sorted(found);
}

std::string links() {
  std::vector<std::string> found = files::is_directory("/sys/class/net") ? files::list("/sys/class/net") : std::vector<std::string>();
  return sorted(found);
}

// Only what runs from our build or in a namespace of its own: other processes of the machine come and go.
std::string processes() {
  std::vector<std::string> found;
  std::error_code ignored;
  const auto own = std::filesystem::read_symlink("/proc/self/ns/pid", ignored);
  for (const std::string& name : files::list("/proc")) {
    if (!text::to_u64(name)) {
      continue;
    }
    const auto ns = std::filesystem::read_symlink("/proc/" + name + "/ns/pid", ignored);
    const auto exe = std::filesystem::read_symlink("/proc/" + name + "/exe", ignored).string();
    const bool ours = exe.starts_with(JIGSAW_BIN_DIR) && !exe.empty();
    if (ours || (!ns.empty() && ns != own)) {
      found.push_back(fmt::format("{} {}", name, exe));
    }
  }
  return sorted(found);
}

void add_new(std::string& result, std::string_view kind, const std::string& before, const std::string& after) {
  std::multiset<std::string_view> known;
  for (const std::string_view line : text::lines(before)) {
    known.insert(line);
  }
  for (const std::string_view line : text::lines(after)) {
    const auto at = known.find(line);
    if (at == known.end()) {
      result += fmt::format("{}: {}\n", kind, line);
    } else {
      known.erase(at);
    }
  }
}

}  // namespace

HostSnapshot host_snapshot() { return HostSnapshot{mounts(), cgroups(), links(), processes()}; }

std::string left_behind(const HostSnapshot& before, const HostSnapshot& after) {
  std::string result;
  add_new(result, "mount", before.mounts, after.mounts);
  add_new(result, "cgroup", before.cgroups, after.cgroups);
  add_new(result, "link", before.links, after.links);
  add_new(result, "process", before.processes, after.processes);
  return result;
}

}  // namespace jigsaw::test
