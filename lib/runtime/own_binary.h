// Our own program file, kept from containers. A process of a container that catches us while we are inside, or whose
// program is a link to /proc/self/exe, gets hold of the file that we were executed from, and a root user could write to
// it: the next container would then be started by the attacker, on the host (CVE-2019-5736).
//
// So we execute ourselves once more, through a read-only mount of the file that is attached nowhere: whoever opens
// /proc/PID/exe goes through that mount and can't write (EROFS), and the host's path is never involved. Where mounts are
// forbidden, from a sealed copy in memory. It costs the start of a static program, a third of a millisecond.
#pragma once

namespace jigsaw::runtime {

// Call first thing in main(), before anything is opened. Returns in the protected program only.
void leave_own_binary(char** argv);

}  // namespace jigsaw::runtime
