// Flag words as their C names: MS_REC|MS_PRIVATE. Used by --explain and by error messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace jigsaw::flags {

std::string clone(uint64_t flags);          // CLONE_NEWPID|CLONE_NEWNS
std::string mount(unsigned long flags);     // mount(2): MS_BIND|MS_REC
std::string mount_attributes(uint64_t flags);  // mount_setattr(2): MOUNT_ATTR_RDONLY
std::string open(int flags);                // openat2(2): O_PATH|O_CLOEXEC
std::string resolve(uint64_t flags);        // openat2(2): RESOLVE_IN_ROOT
std::string at(int flags);                  // AT_EMPTY_PATH|AT_SYMLINK_NOFOLLOW
std::string directory(int fd);              // "AT_FDCWD", or the descriptor's number
std::string unmount(int flags);             // MNT_DETACH
std::string open_tree(unsigned flags);      // OPEN_TREE_CLONE|AT_RECURSIVE
std::string move_mount(unsigned flags);     // MOVE_MOUNT_F_EMPTY_PATH
std::string file_type_and_mode(unsigned mode);  // S_IFCHR|0666
std::string signal_name(int number);        // "SIGTERM"; "signal 99" for an unknown one
// "TERM", "SIGTERM" or "15" -> 15, as kill(1) and docker kill take it. Throws on anything else.
int parse_signal(std::string_view text);

}  // namespace jigsaw::flags
