#include "namespaces/enter.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

namespace jigsaw::namespaces {

Opened open(const Kind& kind, const std::string& path) {
  Fd fd = files::open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  const int type = ::ioctl(fd.get(), NS_GET_NSTYPE);
  if (type < 0) {
    throw fail("{} is not a namespace", path);
  }
  if (static_cast<uint64_t>(type) != kind.flag) {
    throw fail("{} is a namespace of another kind, not {}", path, kind.oci);
  }
  return Opened{&kind, path, std::move(fd)};
}

void enter(const Opened& opened) {
  sys::setns(opened.fd.get(), static_cast<int>(opened.kind->flag), opened.path, opened.kind->what);
}

void enter_those_of(int pidfd, uint64_t set) {
  sys::setns(pidfd, static_cast<int>(set), names(set), "from here on we see what the container sees");
}

uint64_t id(const std::string& process, const Kind& kind) {
  struct stat status {};
  return ::stat(fmt::format("/proc/{}/ns/{}", process, kind.name).c_str(), &status) == 0 ? status.st_ino : 0;
}

uint64_t differing(const std::string& process, uint64_t known) {
  uint64_t set = known;
  for (const Kind& kind : kinds()) {
    if ((known & kind.flag) != 0) {
      continue;
    }
    const uint64_t theirs = id(process, kind);
    if (theirs != 0 && theirs != id("self", kind)) {
      set |= kind.flag;
    }
  }
  return set;
}

std::vector<ProcessNamespaces> list() {
  std::vector<ProcessNamespaces> result;
  for (const std::string& name : files::list("/proc")) {
    const auto pid = text::to_u64(name);
    if (!pid) {
      continue;
    }
    ProcessNamespaces process{static_cast<pid_t>(*pid), {}, {}};
    for (const Kind& kind : kinds()) {
      process.ids.push_back(id(name, kind));
    }
    if (process.ids.back() != 0) {  // gone, or not ours to look at
      process.command = text::printable_line(text::trim(files::read_if_exists(fmt::format("/proc/{}/comm", name)).value_or("")));
      result.push_back(std::move(process));
    }
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return result;
}

}  // namespace jigsaw::namespaces
