#include "namespaces/loopback.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "base/error.h"
#include "base/explain.h"
#include "base/fd.h"

namespace jigsaw::namespaces {

void bring_up_loopback() {
  const Fd socket(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "open a socket"));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  const int rc = ::ioctl(socket.get(), SIOCSIFFLAGS, &request);
  explain::tell(rc, "a new network namespace has a loopback device, but it is down", [&] {
    return explain::Call{"ioctl", fmt::format("{}, SIOCSIFFLAGS, {{ifr_name=\"lo\", ifr_flags=IFF_UP}}", socket.get()),
                         "ip link set lo up"};
  });
  check(rc, "bring up the loopback device");
}

}  // namespace jigsaw::namespaces
