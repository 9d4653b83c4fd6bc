// Loopback: a new network namespace has one device, lo, and it is down: even 127.0.0.1 can't be reached.
#pragma once

namespace jigsaw::network {

// Brings lo up in the network namespace of the caller (netdevice(7), SIOCSIFFLAGS). The kernel gives it its address.
void bring_up_loopback();

}  // namespace jigsaw::network
