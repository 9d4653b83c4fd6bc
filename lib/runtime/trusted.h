// Whose word is taken: a state names programs to run (hooks) and processes to kill, so a state that somebody else
// could have written is refused. Where a directory of all users stands in (/tmp/jigsaw-oci-UID), anybody may have made
// it before us.
#pragma once

#include <string>

namespace jigsaw::runtime {

// The directory above the states: throws if it is another user's than ours or root's, or if everybody may write in it (and
// it is not one like /tmp, where files can only be removed by their owner). No such directory is fine.
void check_state_root(const std::string& path);
// One state, opened: throws unless it is a file of ours, and nobody else may write to it.
void check_state_file(int fd, const std::string& path);

}  // namespace jigsaw::runtime
