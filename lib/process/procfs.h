// procfs: what the kernel tells about processes below /proc, the source of ps(1), pmap(1) and lsof(8).
//
//   /proc/PID/stat     one line: state, parent, terminal, times            -> ps
//   /proc/PID/status   the same and more, for people                       -> inspect
//   /proc/PID/maps     the address space: one line a region                -> inspect
//   /proc/PID/fd/      one link for each open file                         -> inspect
//
// A process may end while it is read: lists leave it out, single questions throw. Man page: proc(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::process {

struct ProcessEntry {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';       // R running, S sleeping, D waiting for a device, Z zombie, T stopped, …
  std::string command;    // the kernel's name for it, at most 15 bytes
  std::string terminal;   // "pts/0", "tty1", "ttyS0"; "?" without one
  uint64_t cpu_seconds = 0;  // user and system time together
};
// All processes of this PID namespace, in the order of their ids.
std::vector<ProcessEntry> processes();
// Throws "no process <pid>".
ProcessEntry process_entry(pid_t pid);
// "00:01:07", "3-02:00:00": the form of ps(1)'s TIME.
std::string cpu_time(uint64_t seconds);

// One value of /proc/PID/status, such as "VmRSS" -> "1234 kB"; "" if the kernel gives none (a zombie has no memory).
std::string status_field(pid_t pid, std::string_view name);
std::string executable(pid_t pid);                  // the program's file; "" for kernel threads
std::string working_directory(pid_t pid);
std::vector<std::string> command_line(pid_t pid);  // argv; empty for kernel threads and zombies

struct MemoryRegion {
  uint64_t begin = 0;       // virtual addresses
  uint64_t end = 0;
  std::string permissions;  // "r-xp": read, write, execute, private or shared
  std::string backing;      // a file, "[heap]", "[stack]", … or "" for anonymous memory
};
std::vector<MemoryRegion> address_space(pid_t pid);

struct OpenFile {
  int number = 0;
  std::string target;  // a path, "pipe:[123]", "socket:[123]", "anon_inode:[eventfd]", …
};
std::vector<OpenFile> open_files(pid_t pid);

}  // namespace jigsaw::process
