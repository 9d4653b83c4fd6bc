// A new network namespace holds one device, the loopback `lo`, and it is down: not even 127.0.0.1 answers.
// Bringing it up is one ioctl(2), SIOCSIFFLAGS, as netdevice(7) describes; the kernel gives it its address by itself.
#pragma once

namespace jigsaw::namespaces {

// In the network namespace of the caller.
void bring_up_loopback();

}  // namespace jigsaw::namespaces
