#include "cgroups/tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"
#include "cgroups/diagnose.h"

namespace jigsaw::cgroups {
namespace {

std::vector<std::string> words_in(int directory, const std::string& file) {
  std::vector<std::string> result;
  const int fd = ::openat(directory, file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    const Fd owned(fd);
    const std::string text = files::read_fd(fd, file);
    for (const std::string_view word : text::words(text)) {
      result.emplace_back(word);
    }
  }
  return result;
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

Fd open_tree_root(const Hierarchy& hierarchy) { return files::open(hierarchy.mount_point, O_PATH | O_DIRECTORY); }

Fd open_below(int directory, const std::string& name, const std::string& shown) {
  try {
    return sys::openat2(directory, name,
                        {.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV},
                        "by descriptor: what the name means can't change any more");
  } catch (const Error& error) {
    throw system_error(error.error_number(), fmt::format("open the cgroup {}", shown));
  }
}

std::optional<Place> open_place(const Hierarchy& hierarchy, std::string_view path) {
  const std::string directory = hierarchy.directory(path);
  Fd root = open_tree_root(hierarchy);
  if (directory.size() <= hierarchy.mount_point.size() + 1) {
    return Place{hierarchy, directory, std::move(root), Fd()};
  }
  Fd fd = sys::try_openat2(root.get(), directory.substr(hierarchy.mount_point.size() + 1),
                           {.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV},
                           "the cgroup's directory in this tree");
  if (!fd && errno == ENOENT) {
    return std::nullopt;
  }
  check(fd ? 0 : -1, "open the cgroup {}", directory);
  return Place{hierarchy, directory, std::move(fd), Fd()};
}

void enable_controllers(const Place& parent, const std::vector<std::string>& wanted) {
  const std::vector<std::string> available = words_in(parent.fd.get(), "cgroup.controllers");
  const std::vector<std::string> enabled = words_in(parent.fd.get(), "cgroup.subtree_control");
  const std::string shown = parent.directory + "/cgroup.subtree_control";
  std::string missing;
  for (const std::string& name : available) {
    if (!contains(enabled, name) && (wanted.empty() || contains(wanted, name))) {
      missing += fmt::format("{}+{}", missing.empty() ? "" : " ", name);
    }
  }
  if (missing.empty()) {
    return;
  }
  const char* why = "the children of this cgroup have the files of these controllers from now on";
  const int number = sys::try_write_file_at(parent.fd.get(), "cgroup.subtree_control", missing, shown, why);
  if (number == 0) {
    return;
  }
  if (!wanted.empty()) {
    throw controllers_refused(parent.directory, missing, number);
  }
  // All or nothing is how the kernel takes them: try each, and do without those that it refuses.
  for (const std::string_view one : text::words(missing)) {
    if (sys::try_write_file_at(parent.fd.get(), "cgroup.subtree_control", one, shown, why) != 0) {
      log::debug("{}", controllers_refused(parent.directory, std::string(one), number).message());
    }
  }
}

void inherit_cpuset(int parent, int child, const std::string& shown) {
  for (const std::string file : {"cpuset.cpus", "cpuset.mems"}) {
    if (!words_in(child, file).empty()) {
      continue;
    }
    const std::vector<std::string> values = words_in(parent, file);
    if (!values.empty()) {
      sys::write_file_at(child, file, values.front(), fmt::format("{}/{}", shown, file),
                         "an empty cpuset can't be entered: begin with the parent's");
    }
  }
}

void walk(const std::string& directory, const std::function<void(int cgroup)>& enter,
          const std::function<void(int parent, const std::string& name)>& leave) {
  struct Level {
    std::string name;
    std::vector<std::string> below;  // that are still to be entered
  };
  std::vector<Level> levels;
  Fd here;
  const auto arrive_at = [&](Fd cgroup, const std::string& name) {
    if (cgroup) {  // else it is gone
      here = std::move(cgroup);
      if (enter) {
        enter(here.get());
      }
      levels.push_back({name, files::list_directories(fmt::format("/proc/self/fd/{}", here.get()))});
    }
  };
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  arrive_at(Fd(::open(directory.c_str(), kFlags)), directory);
  while (!levels.empty()) {
    if (!levels.back().below.empty()) {
      const std::string name = std::move(levels.back().below.back());
      levels.back().below.pop_back();
      arrive_at(Fd(::openat(here.get(), name.c_str(), kFlags)), name);
      continue;
    }
    const std::string name = std::move(levels.back().name);
    levels.pop_back();
    if (!levels.empty()) {
      here = files::open_at(here.get(), "..", kFlags);
      if (leave) {
        leave(here.get(), name);
      }
    }
  }
}

void remove_directory(const std::string& directory, std::chrono::steady_clock::time_point deadline) {
  auto pause = std::chrono::microseconds(50);
  while (true) {
    const int number = sys::try_rmdirat(AT_FDCWD, directory, directory, "a cgroup lives until its directory is removed");
    if (number == 0 || number == ENOENT) {
      return;
    }
    if (number != EBUSY && number != ENOTEMPTY) {
      throw system_error(number, fmt::format("remove the cgroup {}", directory));
    }
    walk(directory, {}, [](int parent, const std::string& name) { sys::try_rmdirat(parent, name, name, "a cgroup within it"); });
    if (std::chrono::steady_clock::now() > deadline) {
      throw system_error(number, fmt::format("remove the cgroup {}", directory))
          .with_hint(fmt::format("processes are still in it: cat {}/cgroup.procs", directory));
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(10000));
  }
}

std::string cgroup_in_table(std::string_view table, const Hierarchy& hierarchy) {
  for (const std::string_view line : text::lines(table)) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) {
      continue;
    }
    const std::string_view names = line.substr(first + 1, second - first - 1);
    const auto listed = text::split(names, ',');
    const bool same = hierarchy.version == Version::kV2
                          ? names.empty()
                          : !hierarchy.controllers.empty() &&
                                std::find(listed.begin(), listed.end(), hierarchy.controllers.front()) != listed.end();
    if (same) {
      return std::string(line.substr(second + 1));
    }
  }
  return "/";
}

}  // namespace jigsaw::cgroups
