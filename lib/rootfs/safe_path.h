// Paths inside a root that somebody else filled. An image can hold `etc -> /etc`, `..` in link targets, and another
// container may swap names while we look: a path that is put together as text and then opened can lead anywhere.
//
// openat2(2) with RESOLVE_IN_ROOT makes the kernel resolve a path as if `root` were "/": absolute links, ".." and
// races stay inside. What is missing is made one component at a time, relative to the directory that was opened for
// the component before. All further work is done on the descriptor, never on the path again.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/sys.h"

namespace jigsaw::rootfs {

enum class Links { kFollow, kRefuse };  // kRefuse: a symbolic link anywhere on the way is an error (ELOOP)

// Opens `path` below `root` with open(2) `flags` (O_PATH to have a place and no more). Throws.
Fd open_in_root(int root, const std::string& path, int flags, sys::Why why, Links links = Links::kFollow);
// The same, but nothing if there is no such file or directory.
std::optional<Fd> find_in_root(int root, const std::string& path, int flags, sys::Why why, Links links = Links::kFollow);

// The directory `path`, made with all its parents where it is missing; dangling links are followed within the root.
// An O_PATH descriptor. Throws if something on the way is no directory.
Fd make_directory_in_root(int root, const std::string& path, mode_t mode, sys::Why why, Links links = Links::kFollow);
// The file `path`, made empty if it is missing, its parents too (0755). An O_PATH descriptor. Throws if it is a
// directory.
Fd make_file_in_root(int root, const std::string& path, mode_t mode, sys::Why why, Links links = Links::kFollow);

// "/a//b/./c/" -> "a/b/c", "/" -> ".": the form the kernel wants below a descriptor. ".." stays: the kernel knows where
// it leads.
std::string relative(std::string_view path);

// "/proc/self/fd/N": a path for calls that have no descriptor form.
std::string proc_path(int fd);

}  // namespace jigsaw::rootfs
