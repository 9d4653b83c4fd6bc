// A filter as ranges of system calls. libseccomp asks for each system call by itself, some thousand comparisons that the
// kernel translates to machine code whenever a container starts, which takes longer than all of its mounts. Yet most
// neighbours have the same answer:
//
//     read(0) … getpmsg(181) allowed ─ putpmsg … security(185) refused ─ gettid(186) …
//
// So the finished filter is followed for every number at which its answer can change, and written anew as a search tree over
// the ranges in between. Where the answer depends on arguments, the original's instructions for that are kept. The outcome is
// the same for every architecture, number and argument.
#pragma once

#include <linux/filter.h>

#include <span>
#include <vector>

namespace jigsaw::security {

// The same filter, shorter; `program` itself if it is not of the form that libseccomp writes, or short already.
std::vector<sock_filter> as_ranges(std::span<const sock_filter> program);

}  // namespace jigsaw::security
