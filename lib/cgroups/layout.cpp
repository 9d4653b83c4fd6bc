#include "cgroups/layout.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "cgroups/tree.h"

namespace jigsaw::cgroups {
namespace {

// Mount points are written with \040 for a blank and the like (proc(5)).
std::string unescape(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 3 < text.size()) {
      result += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
      at += 3;
    } else {
      result += text[at];
    }
  }
  return result;
}

// The controllers among a v1 mount's options: "rw,xattr,cpu,cpuacct" -> cpu, cpuacct.
std::vector<std::string> controllers_in(std::string_view options) {
  static constexpr std::string_view kOther[] = {"rw",   "ro",  "xattr", "clone_children", "noprefix", "cpuset_v2_mode",
                                                "none", "all", "favordynmods"};
  std::vector<std::string> result;
  for (const std::string_view option : text::split(options, ',')) {
    if (std::find(std::begin(kOther), std::end(kOther), option) == std::end(kOther) &&
        !option.starts_with("release_agent=")) {
      result.emplace_back(option);
    }
  }
  return result;
}

// One line of mountinfo that is a cgroup mount:
//   35 31 0:31 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
std::optional<Hierarchy> parse_mount(std::string_view line) {
  const size_t dash = line.find(" - cgroup");
  if (dash == std::string_view::npos) {
    return std::nullopt;
  }
  const auto mount = text::words(line.substr(0, dash));
  const auto filesystem = text::words(line.substr(dash + 3));
  if (mount.size() < 5 || filesystem.size() < 3 || mount[3].starts_with("/..")) {
    return std::nullopt;
  }
  Hierarchy found;
  found.version = filesystem[0] == "cgroup2" ? Version::kV2 : Version::kV1;
  found.mount_root = unescape(mount[3]);
  found.mount_point = unescape(mount[4]);
  if (found.version == Version::kV1) {
    found.controllers = controllers_in(filesystem.back());
  }
  return found;
}

// A line of mountinfo as far as it says what is mounted where (proc_pid_mountinfo(5)): "35 31 0:31 / /sys/fs/cgroup/memory …".
struct MountLine {
  uint64_t id = 0;
  uint64_t parent = 0;
  std::string_view point;
  std::string_view text;
};

std::vector<MountLine> mount_lines(std::string_view mounts) {
  std::vector<MountLine> result;
  for (const std::string_view line : text::lines(mounts)) {
    std::array<std::string_view, 5> words;
    std::string_view rest = line;
    for (std::string_view& word : words) {
      word = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    }
    result.push_back({text::to_u64(words[0]).value_or(0), text::to_u64(words[1]).value_or(0), words[4], line});
  }
  return result;
}

// Whether another mount hides it: one on top of it, of a mount on the way to it, or of a directory on that way.
bool is_hidden(const MountLine& mount, const std::vector<MountLine>& mounts) {
  const MountLine* at = &mount;
  uint64_t below = 0;  // the mount of the way that is mounted on `at`
  for (size_t steps = 0; at != nullptr && steps < mounts.size(); ++steps) {
    const MountLine* above = nullptr;
    for (const MountLine& other : mounts) {
      const bool on_it = other.parent == at->id && other.id != below && other.point == at->point;
      const bool beside = other.parent == at->parent && at->point.size() > other.point.size() &&
                          at->point[other.point.size()] == '/' && at->point.starts_with(other.point);
      if ((on_it || beside) && other.id != at->id) {
        return true;
      }
      above = other.id == at->parent && other.id != at->id ? &other : above;
    }
    below = at->id;
    at = above;
  }
  return false;
}

// One tree can be mounted at several places (in another container's root, say): the one below /sys wins.
void add(std::vector<Hierarchy>& known, Hierarchy found) {
  for (Hierarchy& other : known) {
    if (other.version == found.version && other.controllers == found.controllers) {
      if (!other.mount_point.starts_with("/sys/") && found.mount_point.starts_with("/sys/")) {
        other = std::move(found);
      }
      return;
    }
  }
  known.push_back(std::move(found));
}

}  // namespace

bool Hierarchy::has(std::string_view controller) const {
  if (version == Version::kV1 && controller == "io") {
    controller = "blkio";
  } else if (version == Version::kV2 && controller == "blkio") {
    controller = "io";
  }
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::string Hierarchy::name() const { return version == Version::kV2 ? "unified" : text::join(controllers, ","); }

std::string Hierarchy::directory(std::string_view cgroup) const {
  const bool below = cgroup.starts_with(mount_root) && (cgroup.size() == mount_root.size() || cgroup[mount_root.size()] == '/');
  if (mount_root != "/" && below) {
    cgroup.remove_prefix(mount_root.size());
  }
  while (cgroup.starts_with('/')) {
    cgroup.remove_prefix(1);
  }
  return cgroup.empty() ? mount_point : fmt::format("{}/{}", mount_point, cgroup);
}

const Hierarchy* Layout::find(std::string_view controller) const {
  for (const Hierarchy& hierarchy : hierarchies) {
    if (hierarchy.has(controller)) {
      return &hierarchy;
    }
  }
  // v2 has two features without a controller of that name: frozen groups and device programs.
  return controller == "devices" || controller == "freezer" ? unified() : nullptr;
}

Layout Layout::only(Version version) const {
  Layout part;
  for (const Hierarchy& each : hierarchies) {
    if (each.version == version) {
      part.hierarchies.push_back(each);
    }
  }
  return part;
}

const Hierarchy* Layout::unified() const {
  for (const Hierarchy& hierarchy : hierarchies) {
    if (hierarchy.version == Version::kV2) {
      return &hierarchy;
    }
  }
  return nullptr;
}

std::string Layout::describe() const {
  const bool v2 = unified() != nullptr;
  const bool v1 = hierarchies.size() > (v2 ? 1U : 0U);
  return v1 && v2 ? "cgroup v1 and v2 (hybrid)" : v1 ? "cgroup v1" : v2 ? "cgroup v2" : "no cgroups";
}

Layout read_layout(const std::string& root) {
  Layout layout;
  const std::string mounts = files::read(root + "/proc/self/mountinfo");
  const std::vector<MountLine> lines = mount_lines(mounts);
  for (const MountLine& line : lines) {
    if (auto found = parse_mount(line.text); found && !is_hidden(line, lines)) {
      add(layout.hierarchies, std::move(*found));
    }
  }
  const std::string table = files::read(root + "/proc/self/cgroup");
  for (Hierarchy& hierarchy : layout.hierarchies) {
    hierarchy.own = cgroup_in_table(table, hierarchy);
    hierarchy.mount_point = root + hierarchy.mount_point;
    if (hierarchy.version == Version::kV2) {
      const std::string names = files::read_if_exists(hierarchy.mount_point + "/cgroup.controllers").value_or("");
      for (const std::string_view name : text::words(names)) {
        hierarchy.controllers.emplace_back(name);
      }
    }
  }
  return layout;
}

std::string clean_path(std::string_view path) {
  std::string result;
  for (const std::string_view part : text::split(path, '/')) {
    if (part.empty() || part == ".") {
      continue;
    }
    const bool strange = std::any_of(part.begin(), part.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (part == ".." || strange || part.size() > 255) {
      throw Error(fmt::format("cgroup path {} is refused", text::quoted(path)),
                  "it must stay below the root of the tree: no '..', no control characters, no part longer than 255 bytes");
    }
    result += fmt::format("/{}", part);
  }
  if (result.empty()) {
    throw Error("a cgroup path is empty", "name a cgroup below the root: /jigsaw-x");
  }
  return result;
}

std::optional<std::string> delegated_cgroup(const Layout& layout) {
  const Hierarchy* unified = layout.unified();
  if (unified == nullptr) {
    return std::nullopt;
  }
  std::optional<std::string> highest;
  for (std::string at = unified->own; !at.empty() && at != "/"; at = at.substr(0, at.rfind('/'))) {
    const std::string directory = unified->directory(at);
    if (::access(directory.c_str(), W_OK) != 0 || ::access((directory + "/cgroup.procs").c_str(), W_OK) != 0) {
      break;
    }
    highest = at;
  }
  return highest;
}

std::string usual_path(const Layout& layout, std::string_view name) {
  if (name.find('/') != std::string_view::npos) {
    throw fail("{} is no name for a cgroup", text::quoted(name)).with_hint("it is the name of one directory: without a slash");
  }
  const std::string at_the_top = clean_path(name);
  const auto delegated = may_create(layout, at_the_top) ? std::nullopt : delegated_cgroup(layout);
  return delegated ? clean_path(fmt::format("{}/{}", *delegated, name)) : at_the_top;
}

bool may_create(const Layout& layout, std::string_view path) {
  const auto may_in = [&](const Hierarchy& hierarchy) {
    for (std::string_view above = path; !above.empty();) {
      above = above.substr(0, above.rfind('/'));
      if (::access(hierarchy.directory(above).c_str(), W_OK) == 0) {
        return true;
      }
      if (errno != ENOENT) {
        return false;
      }
    }
    return false;
  };
  return !layout.hierarchies.empty() && std::all_of(layout.hierarchies.begin(), layout.hierarchies.end(), may_in);
}

}  // namespace jigsaw::cgroups
