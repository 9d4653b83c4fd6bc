// Copying a small tree between two open directories, with owners, modes and links: what a tmpfs with "tmpcopyup" starts
// with. Nothing is followed; devices, sockets and pipes are left out.
#pragma once

namespace jigsaw::rootfs {

// Copies what is in the directory `from` (O_PATH is enough) into the directory `to`, and gives `to` the same owner and
// mode.
void copy_tree(int from, int to);

}  // namespace jigsaw::rootfs
