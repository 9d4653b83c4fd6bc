#include "cgroups/cgroup.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"
#include "cgroups/diagnose.h"
#include "cgroups/tree.h"

namespace jigsaw::cgroups {
namespace {

// Removes the directories that a creation made, last first, unless it succeeds.
class Made {
 public:
  void add(std::string directory) { directories_.push_back(std::move(directory)); }
  void keep() { directories_.clear(); }
  Made() = default;
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;
  ~Made() {
    for (auto at = directories_.rbegin(); at != directories_.rend(); ++at) {
      sys::try_rmdirat(AT_FDCWD, *at, *at, "the creation failed: nothing of it may stay");
    }
  }

 private:
  std::vector<std::string> directories_;
};

void refuse_if_inhabited(const Place& place) {
  const Fd procs = files::open_at(place.fd.get(), "cgroup.procs", O_RDONLY);
  if (!text::trim(files::read_fd(procs.get(), "cgroup.procs")).empty()) {
    throw fail("the cgroup {} holds processes already", place.directory)
        .with_hint("another container uses it, or a former one still runs: choose another path, or end them");
  }
}

Place make_place(const Hierarchy& hierarchy, std::string_view path, const CreateOptions& options, Made& made) {
  Place place{hierarchy, hierarchy.mount_point, open_tree_root(hierarchy), Fd()};
  bool existed = true;
  const std::string below = hierarchy.directory(path).substr(hierarchy.mount_point.size());
  for (const std::string_view part : text::split(below, '/')) {
    if (part.empty()) {
      continue;
    }
    if (hierarchy.version == Version::kV2) {
      enable_controllers(place, options.controllers);
    }
    const std::string name(part);
    const std::string directory = fmt::format("{}/{}", place.directory, name);
    const int number = sys::try_mkdirat(place.fd.get(), name, 0755, directory, "a cgroup is a directory");
    if (number != 0 && number != EEXIST) {
      throw creation_refused(directory, hierarchy.version, number);
    }
    existed = number == EEXIST;
    if (!existed) {
      made.add(directory);
    }
    Fd next = open_below(place.fd.get(), name, directory);
    if (hierarchy.version == Version::kV1 && hierarchy.has("cpuset")) {
      inherit_cpuset(place.fd.get(), next.get(), directory);
    }
    place.fd = std::move(next);
    place.directory = directory;
  }
  if (existed && options.inhabited == CreateOptions::Inhabited::kRefuse) {
    refuse_if_inhabited(place);
  }
  return place;
}

bool is_wanted(const Hierarchy& hierarchy, const std::vector<std::string>& wanted) {
  return wanted.empty() || hierarchy.version == Version::kV2 ||
         std::any_of(wanted.begin(), wanted.end(), [&](const std::string& name) { return hierarchy.has(name); });
}

}  // namespace

Cgroup Cgroup::create(const Layout& layout, std::string_view path, const CreateOptions& options) {
  Cgroup cgroup(clean_path(path));
  Made made;
  for (const Hierarchy& hierarchy : layout.hierarchies) {
    if (is_wanted(hierarchy, options.controllers)) {
      cgroup.places_.push_back(make_place(hierarchy, cgroup.path_, options, made));
    }
  }
  if (cgroup.places_.empty()) {
    throw Error("no cgroup can be made: this machine has no cgroup file system mounted",
                "mount -t cgroup2 none /sys/fs/cgroup");
  }
  cgroup.prepare_join();
  made.keep();
  return cgroup;
}

Cgroup Cgroup::planned(const Layout& layout, std::string_view path) {
  Cgroup cgroup(clean_path(path));
  for (const Hierarchy& hierarchy : layout.hierarchies) {
    cgroup.places_.push_back({hierarchy, hierarchy.directory(cgroup.path_), Fd(), Fd()});
  }
  return cgroup;
}

Cgroup Cgroup::open(const Layout& layout, std::string_view path) {
  Cgroup cgroup(clean_path(path));
  for (const Hierarchy& hierarchy : layout.hierarchies) {
    if (auto place = open_place(hierarchy, cgroup.path_)) {
      cgroup.places_.push_back(std::move(*place));
    }
  }
  return cgroup;
}

Cgroup Cgroup::of_process(const Layout& layout, pid_t pid) {
  const std::string table = files::read(fmt::format("/proc/{}/cgroup", pid));
  Cgroup cgroup("");
  for (const Hierarchy& hierarchy : layout.hierarchies) {
    const std::string path = cgroup_in_table(table, hierarchy);
    if (hierarchy.version == Version::kV2 || cgroup.path_.empty()) {
      cgroup.path_ = path;
    }
    if (auto place = open_place(hierarchy, path)) {
      cgroup.places_.push_back(std::move(*place));
    }
  }
  return cgroup;
}

const Place* Cgroup::find(std::string_view controller) const {
  const Place* unified = nullptr;
  for (const Place& place : places_) {
    if (place.hierarchy.has(controller)) {
      return &place;
    }
    unified = place.hierarchy.version == Version::kV2 ? &place : unified;
  }
  // v2 lists these nowhere: every cgroup of it can be frozen and can have a device program.
  return controller == "devices" || controller == "freezer" || controller == "unified" ? unified : nullptr;
}

void Cgroup::prepare_join() {
  for (Place& place : places_) {
    if (place.hierarchy.version == Version::kV1 && !place.tasks) {
      const int fd = ::openat(place.fd.get(), "tasks", O_WRONLY | O_CLOEXEC);
      if (fd < 0) {
        throw joining_refused(place, errno);
      }
      place.tasks = Fd(fd);
    }
  }
}

void Cgroup::add(Cgroup other) {
  std::move(other.places_.begin(), other.places_.end(), std::back_inserter(places_));
}

std::vector<int> Cgroup::joinable() const {
  std::vector<int> descriptors;
  for (const Place& place : places_) {
    if (place.tasks) {
      descriptors.push_back(place.tasks.get());
    }
  }
  return descriptors;
}

void Cgroup::take_joinable(std::vector<Fd> tasks) {
  auto next = tasks.begin();
  for (Place& place : places_) {
    if (place.hierarchy.version == Version::kV1 && next != tasks.end()) {
      place.tasks = std::move(*next++);
    }
  }
}

void Cgroup::join() const {
  for (const Place& place : places_) {
    if (!place.tasks) {
      continue;
    }
    try {
      sys::write_fd(place.tasks.get(), "0", place.directory + "/tasks", "0 is the writer itself: from here on its limits hold");
    } catch (const Error& error) {
      throw joining_refused(place, error.error_number());
    }
  }
}

int Cgroup::unified() const {
  const Place* place = find("unified");
  return place != nullptr ? place->fd.get() : -1;
}

void Cgroup::move(pid_t pid) const {
  for (const Place& place : places_) {
    const int number = sys::try_write_file_at(place.fd.get(), "cgroup.procs", fmt::format("{}", pid),
                                              place.directory + "/cgroup.procs", "this process belongs to the cgroup now");
    if (number != 0) {
      throw joining_refused(place, number);
    }
  }
}

void Cgroup::remove(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (const Place& place : places_) {
    remove_directory(place.directory, deadline);
  }
  places_.clear();
}

void Cgroup::clear() {
  std::erase_if(places_, [](const Place& place) {
    const int number = sys::try_rmdirat(AT_FDCWD, place.directory, place.directory, "a cgroup lives until its directory is removed");
    return number == 0 || number == ENOENT;
  });
  if (!places_.empty()) {
    kill();
    remove();
  }
}

void undo_cgroup(const std::string& path) { Cgroup::open(read_layout(), path).clear(); }

std::vector<std::string> find_cgroups(const Layout& layout, std::string_view prefix) {
  std::vector<std::string> found;
  for (const Hierarchy& hierarchy : layout.hierarchies) {
    for (const std::string& name : files::list(hierarchy.mount_point)) {
      const std::string path = "/" + name;
      if (name.starts_with(prefix) && std::find(found.begin(), found.end(), path) == found.end() &&
          files::is_directory(fmt::format("{}/{}", hierarchy.mount_point, name))) {
        found.push_back(path);
      }
    }
  }
  return found;
}

}  // namespace jigsaw::cgroups
