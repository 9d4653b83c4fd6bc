#include "runtime/join.h"

#include <sched.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"

namespace jigsaw::runtime {
namespace {

bool is_mount(const namespaces::Opened& opened) { return opened.kind->flag == CLONE_NEWNS; }

// What belongs to our user namespace must be entered before we leave that; what belongs to the joined one, after.
void enter_around_user_namespace(const std::vector<namespaces::Opened>& joined) {
  const auto user = std::find_if(joined.begin(), joined.end(), [](const auto& each) { return each.kind->flag == CLONE_NEWUSER; });
  std::vector<const namespaces::Opened*> later;
  for (const namespaces::Opened& each : joined) {
    if (is_mount(each) || each.kind->flag == CLONE_NEWUSER) {
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
}

// A path may lead back to where we are: /proc/self/ns/net, or a bind mount of it.
bool is_ours(const namespaces::Opened& opened) {
  struct stat status {};
  check(::fstat(opened.fd.get(), &status), "stat {}", opened.path);
  return status.st_ino == namespaces::id("self", *opened.kind);
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

std::function<void()> way_into(const std::vector<namespaces::Opened>& joined) {
  if (std::all_of(joined.begin(), joined.end(), is_mount)) {
    return {};
  }
  return [&joined] { enter_around_user_namespace(joined); };
}

void enter_mount_namespace(const std::vector<namespaces::Opened>& joined) {
  for (const namespaces::Opened& each : joined) {
    if (is_mount(each)) {
      namespaces::enter(each);
    }
  }
}

}  // namespace jigsaw::runtime
