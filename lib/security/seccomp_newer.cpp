#include "security/seccomp_newer.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

#include <cerrno>
#include <cstddef>

namespace jigsaw::security {
namespace {

constexpr uint32_t kX32 = 0x40000000;
constexpr uint32_t kRefusal = SECCOMP_RET_ERRNO | ENOSYS;

constexpr sock_filter load(size_t offset) {
  return {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(offset)};
}
constexpr sock_filter jump(int condition, uint32_t value, uint8_t if_true, uint8_t if_false) {
  return {static_cast<uint16_t>(BPF_JMP | condition | BPF_K), if_true, if_false, value};
}
constexpr sock_filter answer(uint32_t value) { return {BPF_RET | BPF_K, 0, 0, value}; }

// On s390 a number that the kernel does not know arrives as 0.
bool zero_is_unknown(uint32_t architecture) { return architecture == AUDIT_ARCH_S390 || architecture == AUDIT_ARCH_S390X; }

std::vector<sock_filter> section(const Newest& newest) {
  std::vector<sock_filter> code;
  if (newest.architecture == AUDIT_ARCH_X86_64) {  // numbers of the other form are for another section
    code.push_back(newest.x32 ? jump(BPF_JGE, kX32, 0, 2) : jump(BPF_JGE, kX32, 2, 0));
  }
  if (zero_is_unknown(newest.architecture)) {
    code.push_back(jump(BPF_JEQ, 0, 0, 1));
    code.push_back(answer(kRefusal));
  }
  code.push_back(jump(BPF_JGT, newest.number, 0, 1));
  code.push_back(answer(kRefusal));
  return code;
}

}  // namespace

std::vector<sock_filter> refuse_newer(std::span<const Newest> newest) {
  std::vector<sock_filter> code;
  for (const Newest& each : newest) {
    const std::vector<sock_filter> checks = section(each);
    code.push_back(load(offsetof(seccomp_data, arch)));
    code.push_back(jump(BPF_JEQ, each.architecture, 0, static_cast<uint8_t>(checks.size() + 1)));
    code.push_back(load(offsetof(seccomp_data, nr)));
    code.insert(code.end(), checks.begin(), checks.end());
  }
  return code;
}

}  // namespace jigsaw::security
