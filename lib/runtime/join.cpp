#include "runtime/join.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "process/spawn.h"
#include "security/capabilities.h"

namespace jigsaw::runtime {
namespace {

bool is_mount(const namespaces::Opened& opened) { return opened.kind->flag == CLONE_NEWNS; }

// A path may lead back to where we are: /proc/self/ns/net, or a bind mount of it.
bool is_ours(const namespaces::Opened& opened) {
  struct stat status {};
  check(::fstat(opened.fd.get(), &status), "stat {}", opened.path);
  return status.st_ino == namespaces::id("self", *opened.kind);
}

auto find(const std::vector<namespaces::Opened>& joined, uint64_t kind) {
  return std::find_if(joined.begin(), joined.end(), [kind](const auto& each) { return each.kind->flag == kind; });
}

// What belongs to our user namespace must be entered before we leave that; what belongs to the joined one, after.
void enter_around_user_namespace(const std::vector<namespaces::Opened>& joined, const namespaces::Opened* last) {
  const auto user = find(joined, CLONE_NEWUSER);
  std::vector<const namespaces::Opened*> later;
  for (const namespaces::Opened& each : joined) {
    if (is_mount(each) || &each == last || each.kind->flag == CLONE_NEWUSER) {
      continue;
    }
    try {
      namespaces::enter(each);
    } catch (const Error& error) {
      if (error.error_number() != EPERM || user == joined.end()) {
        throw;
      }
      later.push_back(&each);
    }
  }
  if (user != joined.end()) {
    namespaces::enter(*user);
  }
  for (const namespaces::Opened* each : later) {
    namespaces::enter(*each);
  }
  if (user != joined.end() && find(joined, CLONE_NEWPID) != joined.end()) {
    sys::prctl(PR_SET_DUMPABLE, "PR_SET_DUMPABLE", 0, "no process of these namespaces may look into the one that is to come");
  }
}

// All but 0, 1 and 2, as they are now: what a process opens later stays.
std::vector<int> descriptors() {
  std::vector<int> result;
  for (const std::string& name : files::list("/proc/self/fd")) {
    const auto number = text::to_u64(name);
    if (number && *number > STDERR_FILENO) {
      result.push_back(static_cast<int>(*number));
    }
  }
  std::erase_if(result, [](int number) { return ::fcntl(number, F_GETFD) < 0; });  // the directory that was listed
  return result;
}

}  // namespace

std::vector<namespaces::Opened> open_joined(const Spec& spec) {
  std::vector<namespaces::Opened> joined;
  const uint64_t changed = spec.changes();
  for (const namespaces::Kind& kind : namespaces::kinds()) {
    const auto wanted = std::find_if(spec.namespaces.begin(), spec.namespaces.end(), [&](const Namespace& each) {
      return each.kind == kind.flag && !each.path.empty();
    });
    if (wanted != spec.namespaces.end()) {
      joined.push_back(namespaces::open(kind, wanted->path));
      if ((changed & kind.flag) != 0 && is_ours(joined.back())) {
        throw Error(fmt::format("the {} namespace {} is the host's: hostname, domainname and sysctls would change the host",
                                kind.oci, wanted->path),
                    "leave them out, or give the container a namespace of its own");
      }
    }
  }
  return joined;
}

const namespaces::Opened* entered_last(const Spec& spec, const std::vector<namespaces::Opened>& joined) {
  const auto found = find(joined, CLONE_NEWPID);
  return found == joined.end() || spec.has(CLONE_NEWUSER) || is_ours(*found) ? nullptr : &*found;
}

std::function<void()> way_into(const Spec& spec, const std::vector<namespaces::Opened>& joined) {
  const namespaces::Opened* last = entered_last(spec, joined);
  if (std::all_of(joined.begin(), joined.end(), [&](const auto& each) { return is_mount(each) || &each == last; })) {
    return {};
  }
  return [&joined, last] { enter_around_user_namespace(joined, last); };
}

Fd make_proc_of(const namespaces::Opened& pid_namespace, const rootfs::Mount& mount, int root) {
  constexpr const char* kMade = "made";
  const std::vector<int> ours = descriptors();
  const auto enter = [&] {
    sys::fchdir(root, "the container's root", "whoever looks at this process is to find nothing else");
    sys::chroot(".", "neither the host's root nor a descriptor is seen in a pid namespace of others");
    namespaces::enter(pid_namespace);
    for (const int each : ours) {
      ::close(each);
    }
    security::set_capabilities({.permitted = security::kSysAdmin, .effective = security::kSysAdmin});
  };
  constexpr const char* kWhy = "a procfs shows the pid namespace of the process that makes it";
  process::Child child = process::spawn({.by_way_of = enter, .why = kWhy}, [&](process::Gate& gate) -> int {
    gate.tell(kMade, {rootfs::make_mount(mount).get()});
    return 0;
  });
  child.release();
  std::vector<Fd> made = child.wait_reached(kMade);
  child.wait();
  return std::move(made.at(0));
}

void enter_mount_namespace(const std::vector<namespaces::Opened>& joined) {
  for (const namespaces::Opened& each : joined) {
    if (is_mount(each)) {
      namespaces::enter(each);
    }
  }
}

}  // namespace jigsaw::runtime
