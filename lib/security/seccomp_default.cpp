// The default filter: what the programs of the world use is allowed; the rest does not exist for a container (ENOSYS, so
// that programs fall back to older calls), and what is known and dangerous is refused (EPERM). In substance it is what
// docker and podman agree on, in docker's stricter form: no new namespaces and no mounts without CAP_SYS_ADMIN.
#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/text.h"
#include "security/capabilities.h"
#include "security/seccomp.h"

namespace jigsaw::security {
namespace {

constexpr std::string_view kAllowed =
    "_llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range "
    "bind breakpoint brk cacheflush cachestat capget capset chdir chmod chown chown32 clock_adjtime "
    "clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
    "clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create "
    "epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd "
    "eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate "
    "fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync "
    "fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync "
    "ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat "
    "get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 "
    "getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority "
    "getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt "
    "gettid gettimeofday getuid getuid32 getxattr inotify_add_watch inotify_init inotify_init1 "
    "inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit ioctl ioprio_get ioprio_set ipc "
    "kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link "
    "linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack "
    "membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap "
    "mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 "
    "mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock "
    "munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_getfd "
    "pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl "
    "pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 "
    "pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readdir readlink readlinkat readv recv "
    "recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr rename renameat renameat2 "
    "restart_syscall riscv_flush_icache rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo "
    "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo "
    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam "
    "sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr "
    "sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop "
    "semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area "
    "set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 "
    "setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid "
    "setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr shmat shmctl shmdt shmget shutdown "
    "sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend socketcall "
    "socketpair splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range "
    "sync_file_range2 syncfs syscall sysinfo tee tgkill time timer_create timer_delete timer_getoverrun "
    "timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd timerfd_create timerfd_gettime "
    "timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask "
    "uname unlink unlinkat utime utimensat utimensat_time64 utimes vfork wait4 waitid waitpid write writev ";

// System calls that come with a capability; without it they are refused.
struct Gated {
  std::string_view capability;
  std::string_view names;
};
constexpr Gated kGated[] = {
    {"SYS_ADMIN",
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount "
     "open_tree perf_event_open pivot_root quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 "
     "unshare"},
    {"DAC_READ_SEARCH", "open_by_handle_at"},
    {"BPF", "bpf"},
    {"PERFMON", "perf_event_open"},
    {"SYS_BOOT", "reboot"},
    {"SYS_CHROOT", "chroot"},
    {"SYS_MODULE", "delete_module finit_module init_module query_module"},
    {"SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"SYS_PACCT", "acct"},
    {"SYS_PTRACE", "kcmp pidfd_getfd process_madvise"},
    {"SYS_RAWIO", "ioperm iopl"},
    {"SYS_TIME", "clock_settime clock_settime64 settimeofday stime"},
    {"SYS_TTY_CONFIG", "vhangup"},
    {"SYSLOG", "syslog"},
};

constexpr std::string_view kRefused =
    "add_key io_pgetevents kexec_file_load kexec_load keyctl migrate_pages move_pages nfsservctl nice request_key swapoff "
    "swapon sysfs uselib userfaultfd ustat vm86 vm86old vmsplice";

constexpr uint64_t kNamespaceFlags = 0x7e020000;  // CLONE_NEWNS … CLONE_NEWNET, CLONE_NEWUSER, CLONE_NEWCGROUP

std::vector<std::string> names_in(std::string_view words) {
  std::vector<std::string> result;
  for (const std::string_view word : text::words(words)) {
    result.emplace_back(word);
  }
  return result;
}

// FNV-1a.
constexpr uint64_t mixed(uint64_t hash, std::string_view text) {
  for (const char byte : text) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  return hash;
}

SeccompRule allow(std::vector<std::string> names, std::vector<SeccompArgument> arguments = {}) {
  return {std::move(names), "SCMP_ACT_ALLOW", std::nullopt, std::move(arguments)};
}
SeccompRule refuse(std::vector<std::string> names, uint32_t error_number) {
  return {std::move(names), "SCMP_ACT_ERRNO", error_number, {}};
}

}  // namespace

uint64_t default_rules_version() {
  constexpr uint64_t kVersion = [] {
    uint64_t hash = mixed(mixed(0xcbf29ce484222325, kAllowed), kRefused);
    for (const Gated& gated : kGated) {
      hash = mixed(mixed(hash, gated.capability), gated.names);
    }
    return hash;
  }();
  return kVersion;
}

Seccomp default_rules(uint64_t capabilities) {
  Seccomp result;
  result.default_action = "SCMP_ACT_ERRNO";
  result.default_error_number = ENOSYS;
#if defined(__x86_64__)
  result.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#elif defined(__aarch64__)
  result.architectures = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#endif
  result.rules.push_back(allow(names_in(kAllowed)));
  // Linux, 32 bits, and the two that ask or keep addresses as they were before address space randomisation.
  for (const uint64_t personality : {0x0ULL, 0x8ULL, 0x20000ULL, 0x20008ULL, 0xffffffffULL}) {
    result.rules.push_back(allow({"personality"}, {{0, personality, 0, "SCMP_CMP_EQ"}}));
  }
  // AF_VSOCK (40) reaches the hypervisor's side of a virtual machine.
  result.rules.push_back(allow({"socket"}, {{0, 40, 0, "SCMP_CMP_NE"}}));
  std::vector<std::string> refused = names_in(kRefused);
  std::vector<std::string> gained;
  for (const Gated& gated : kGated) {
    const bool has = (capabilities & parse_capabilities({std::string(gated.capability)})) != 0;
    for (const std::string& name : names_in(gated.names)) {
      (has ? gained : refused).push_back(name);
    }
  }
  std::erase_if(refused, [&](const std::string& name) {
    return name == "clone" || name == "clone3" || std::find(gained.begin(), gained.end(), name) != gained.end();
  });
  if (std::find(gained.begin(), gained.end(), "clone") == gained.end()) {
    // The flags of clone3 are behind a pointer, where a filter can't look: programs fall back to clone.
    result.rules.push_back(allow({"clone"}, {{0, kNamespaceFlags, 0, "SCMP_CMP_MASKED_EQ"}}));
    result.rules.push_back(refuse({"clone3"}, ENOSYS));
  }
  if (!gained.empty()) {
    result.rules.push_back(allow(std::move(gained)));
  }
  result.rules.push_back(refuse(std::move(refused), EPERM));
  return result;
}

}  // namespace jigsaw::security
