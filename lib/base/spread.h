// Where a file system puts what belongs together, and what does not. ext4 makes new directories near their parent; in a
// part of the disk where many files were removed within the last minutes, it passes over each of their inodes again for
// every new one (ext4's find_inode_bit), and a container makes some fifteen.
#pragma once

#include <string>

namespace jigsaw::files {

// Marks `directory` as the top of unrelated hierarchies (FS_TOPDIR_FL, chattr(1) +T): each directory made in it from now on
// begins in a part of the disk of its own. File systems without such a mark are left as they are.
void spread_below(const std::string& directory);

}  // namespace jigsaw::files
