// The very first instructions of jigsaw and jigsaw-oci: what leave_own_binary() does (own_binary.h), before the C library.
//
// A static program spends a third of a millisecond between the kernel and main(): it relocates itself, asks the processor
// for its abilities (each CPUID is a trap in a virtual machine), makes a heap, a locale, a thread. A program that is about
// to execute itself once more would pay that twice. So the linker is told to begin here instead of at _start
// (cmake: jigsaw_leaves_own_binary), with the stack as the kernel left it: argc, the arguments, a null, the environment,
// a null (System V ABI, x86-64 supplement, 3.4.1). Nothing of the C library may be used, and no table of pointers, since
// nobody has relocated them yet: arithmetic, own strings and system calls are what there is.
//
// Whatever fails here fails silently, and main() does it again in the long way, with messages.
#if defined(__x86_64__)

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

#include "runtime/own_binary.h"

namespace jigsaw::runtime {
namespace {

constexpr size_t kMostVariables = 1'000;
constexpr size_t kLongestPath = 4'096;

long call(long number, long first = 0, long second = 0, long third = 0, long fourth = 0, long fifth = 0) {
  long result = number;
  register long r10 asm("r10") = fourth;
  register long r8 asm("r8") = fifth;
  asm volatile("syscall" : "+a"(result) : "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}

long address(const void* pointer) { return reinterpret_cast<long>(pointer); }

bool begins_with(const char* text, const char* start) {
  while (*start != '\0' && *text == *start) {
    ++text;
    ++start;
  }
  return *start == '\0';
}

bool is_asked_for(char** argv) {
  for (char** word = argv; *word != nullptr; ++word) {
    if (word != argv && enters_containers(*word)) {
      return true;
    }
  }
  return false;
}

// Our file as a mount of its own that is attached nowhere and can't be written to; a negative error number if that fails.
long read_only_mount(const char* path) {
  const long mount = call(SYS_open_tree, AT_FDCWD, address(path), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (mount < 0) {
    return mount;
  }
  mount_attr attributes;
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
  attributes.attr_clr = 0;
  attributes.propagation = 0;
  attributes.userns_fd = 0;
  const long failed = call(SYS_mount_setattr, mount, address(""), AT_EMPTY_PATH, address(&attributes), sizeof attributes);
  if (failed < 0) {
    call(SYS_close, mount);
    return failed;
  }
  return mount;
}

}  // namespace

// Returns if this process needs no protection, has it already, or can't get it in this way.
extern "C" [[gnu::used, gnu::visibility("hidden")]] void jigsaw_before_libc(uintptr_t* stack) {
  char** argv = reinterpret_cast<char**>(stack + 1);
  char** environment = argv + *stack + 1;
  if (*stack < 2 || !is_asked_for(argv) || call(SYS_geteuid) != 0) {
    return;
  }
  const char* variables[kMostVariables + 2];
  size_t count = 0;
  for (; environment[count] != nullptr; ++count) {
    if (count == kMostVariables || begins_with(environment[count], kOwnBinaryVariable)) {
      return;
    }
    variables[count] = environment[count];
  }
  const char* own = "/proc/self/exe";
  char path[sizeof kOwnBinaryVariable + kLongestPath];
  size_t length = 0;
  for (; kOwnBinaryVariable[length] != '\0'; ++length) {
    path[length] = kOwnBinaryVariable[length];
  }
  path[length++] = '=';
  const long size = call(SYS_readlink, address(own), address(path + length), kLongestPath - 1);
  const long mount = size > 0 && size < static_cast<long>(kLongestPath) - 1 ? read_only_mount(own) : -1;
  if (mount < 0) {
    return;
  }
  path[length + static_cast<size_t>(size)] = '\0';
  variables[count] = path;
  variables[count + 1] = nullptr;
  call(SYS_execveat, mount, address(""), address(argv), address(variables), AT_EMPTY_PATH);
  call(SYS_close, mount);
}

// The stack pointer is kept in a register that calls preserve; _start finds everything as the kernel left it.
asm(R"(
  .pushsection .text.jigsaw_entry, "ax", @progbits
  .globl jigsaw_entry
  .type jigsaw_entry, @function
jigsaw_entry:
  .cfi_startproc
  .cfi_undefined rip
  endbr64
  xorl %ebp, %ebp
  movq %rdx, %r12
  movq %rsp, %rbx
  movq %rsp, %rdi
  andq $-16, %rsp
  call jigsaw_before_libc
  movq %rbx, %rsp
  movq %r12, %rdx
  jmp _start
  .cfi_endproc
  .size jigsaw_entry, .-jigsaw_entry
  .popsection
)");

}  // namespace jigsaw::runtime

#endif
