// The least that a container costs: only the kernel calls that it needs, and nothing else. A child in new mount, pid,
// uts, ipc, network and cgroup namespaces, in one cgroup of each tree, on an overlay of a directory, with /proc, entered
// by pivot_root, executing a program; then wait, and clean up. What a runtime takes beyond that is its own.
//
// bare_container LOWER SCRATCH PROGRAM [ARG...]
#include <dirent.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kMaxTrees = 16;
char g_cgroups[kMaxTrees][320];
int g_tasks[kMaxTrees];
int g_count = 0;
int g_unified = -1;

void need(bool holds, const char* what) {
  if (!holds) {
    std::perror(what);
    std::_Exit(125);
  }
}

void make_cgroups() {
  DIR* trees = ::opendir("/sys/fs/cgroup");
  need(trees != nullptr, "list /sys/fs/cgroup");
  const bool v2_only = ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
  const dirent* entry = nullptr;
  while (g_count < kMaxTrees && (v2_only ? g_count == 0 : (entry = ::readdir(trees)) != nullptr)) {
    if (entry != nullptr && (entry->d_name[0] == '.' || entry->d_type == DT_LNK || std::strcmp(entry->d_name, "cpuset") == 0)) {
      continue;  // a new v1 cpuset wants more than a mkdir
    }
    char control[360];
    std::snprintf(control, sizeof control, "/sys/fs/cgroup/%s/cgroup.procs", entry != nullptr ? entry->d_name : ".");
    if (::access(control, F_OK) != 0) {
      continue;  // no tree: another file system hides it
    }
    char* path = g_cgroups[g_count];
    std::snprintf(path, sizeof g_cgroups[0], "/sys/fs/cgroup/%s/bare-%d", entry != nullptr ? entry->d_name : ".", ::getpid());
    need(::mkdir(path, 0755) == 0, path);
    char tasks[360];
    std::snprintf(tasks, sizeof tasks, "%s/tasks", path);
    g_tasks[g_count] = ::open(tasks, O_WRONLY | O_CLOEXEC);
    if (g_tasks[g_count] < 0) {
      g_unified = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    ++g_count;
  }
  ::closedir(trees);
}

[[noreturn]] void become_container(const char* lower, const char* scratch, char** program) {
  for (int i = 0; i < g_count; ++i) {
    need(g_tasks[i] < 0 || ::write(g_tasks[i], "0", 1) == 1, "join a cgroup");
  }
  need(::unshare(CLONE_NEWCGROUP) == 0, "unshare the cgroup namespace");
  need(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make mounts private");
  char options[512];
  std::snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, scratch, scratch);
  char merged[256];
  std::snprintf(merged, sizeof merged, "%s/merged", scratch);
  need(::mount("overlay", merged, "overlay", 0, options) == 0, "mount an overlay");
  need(::chdir(merged) == 0, "enter the overlay");
  need(::mkdir("proc", 0755) == 0 || true, "make /proc");
  need(::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0, "mount /proc");
  need(::syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
  need(::umount2(".", MNT_DETACH) == 0, "unmount the old root");
  need(::sethostname("bare", 4) == 0, "set the host name");
  ::execv(program[0], program);
  need(false, program[0]);
  std::_Exit(127);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: bare_container LOWER SCRATCH PROGRAM [ARG...]\n", stderr);
    return 125;
  }
  make_cgroups();
  clone_args arguments{};
  arguments.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;
  arguments.exit_signal = SIGCHLD;
  if (g_unified >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(g_unified);
  }
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  need(pid >= 0, "clone3");
  if (pid == 0) {
    become_container(argv[1], argv[2], argv + 3);
  }
  int status = 0;
  need(::waitpid(static_cast<pid_t>(pid), &status, 0) == pid, "wait");
  for (int i = 0; i < g_count; ++i) {
    while (::rmdir(g_cgroups[i]) != 0) {
      ::usleep(100);
    }
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
