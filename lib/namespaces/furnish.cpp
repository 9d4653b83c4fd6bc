#include "namespaces/furnish.h"

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "namespaces/loopback.h"
#include "namespaces/sets.h"

namespace jigsaw::namespaces {
namespace {

constexpr size_t kLongestHostName = 64;  // bytes: __NEW_UTS_LEN of the kernel

}  // namespace

void furnish(uint64_t set, const NamespaceOptions& options, const std::string& name) {
  if (has(set, "cgroup")) {
    sys::unshare(static_cast<int>(parse("cgroup")), "its cgroup is the root of all that it sees of the tree");
  }
  if (!options.clocks.empty()) {
    enter_shifted_clocks(options.clocks);
  }
  if (has(set, "uts")) {
    sys::sethostname(options.hostname.empty() ? name : options.hostname, "the host name is private in a uts namespace");
  }
  if (has(set, "net")) {
    bring_up_loopback();
  }
}

void check_host_name(std::string_view what, std::string_view name) {
  const auto is_control = [](unsigned char byte) { return byte < ' ' || byte == 127; };
  const char* problem = name.empty()                                        ? "is empty"
                        : name.size() > kLongestHostName                    ? "is longer than 64 bytes"
                        : std::any_of(name.begin(), name.end(), is_control) ? "has control bytes in it"
                                                                            : nullptr;
  if (problem != nullptr) {
    throw fail("{} {} {}", what, text::quoted(name.substr(0, 100)), problem)
        .with_hint("give 1 to 64 bytes without control characters");
  }
}

}  // namespace jigsaw::namespaces
