#include "network/loopback.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "base/error.h"
#include "base/explain.h"
#include "base/fd.h"

namespace jigsaw::network {

void bring_up_loopback() {
  const Fd socket(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "make a socket for network settings"));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const int rc = ::ioctl(socket.get(), SIOCSIFFLAGS, &request);
  explain::tell(rc, "the only device of a new network namespace is down at first", [&] {
    return explain::Call{"ioctl", fmt::format("{}, SIOCSIFFLAGS, {{\"lo\", IFF_UP|IFF_RUNNING}}", socket.get()), "ip link set lo up"};
  });
  check(rc, "bring up the loopback device");
}

}  // namespace jigsaw::network
