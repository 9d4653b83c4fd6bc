// Surroundings: what programs expect to find in any root directory besides the files of their system: /proc, and a /dev
// with null, zero, random, tty, terminals, shared memory and message queues.
#pragma once

#include <cstdint>

namespace jigsaw::rootfs {

// Mounts and makes them in `root`, which is attached in our mount namespace. `namespaces` are the CLONE_NEW* flags of the
// namespaces we are in. In a user namespace no device can be made, and a file system that shows another namespace belongs
// to who made that: there the host's are bind-mounted.
void mount_surroundings(int root, uint64_t namespaces);

}  // namespace jigsaw::rootfs
