// Our own program file, kept from containers. A process of a container that catches us while we are inside, or whose
// program is a link to /proc/self/exe, gets hold of the file that we were executed from, and a root user could write to
// it: the next container would then be started by the attacker, on the host (CVE-2019-5736).
//
// So we execute ourselves once more, through a read-only mount of the file that is attached nowhere: whoever opens
// /proc/PID/exe goes through that mount and can't write (EROFS), and the host's path is never involved. Where mounts are
// forbidden, from a sealed copy in memory. own_binary_entry.cpp does it before the C library has begun, where it can.
#pragma once

namespace jigsaw::runtime {

// Set to the path of the program's file in the environment of the protected program, which takes it out again.
constexpr char kOwnBinaryVariable[] = "_JIGSAW_OWN_BINARY";

// Whether this word of a command line asks for one of the commands of jigsaw or jigsaw-oci whose processes go into a container,
// where others could reach for the file they were executed from. No library function: it is called before there are any.
constexpr bool enters_containers(const char* word) {
  const auto is = [word](const char* name) {
    const char* at = word;
    while (*name != '\0' && *at == *name) {
      ++at;
      ++name;
    }
    return *at == *name;
  };
  return is("run") || is("exec") || is("create") || is("build");
}
static_assert(enters_containers("run") && !enters_containers("runs") && !enters_containers("ru") && !enters_containers(""));

// Call first thing in main(), before anything is opened. Returns in the protected program only, or at once if no word asks
// for it. Throws if the program can't be protected.
void leave_own_binary(int argc, char** argv);
// For --explain, which begins later: notes that it was done, if it was.
void tell_of_own_binary();

}  // namespace jigsaw::runtime
