#include "security/seccomp_passes.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

namespace jigsaw::security {
namespace {

// Follows the instructions for one call. A condition on what is not known goes both ways, in so many steps at most.
class Follower {
 public:
  Follower(std::span<const sock_filter> program, uint32_t call) : program_(program), call_(call) {}

  bool passes(size_t at = 0, std::optional<uint32_t> accumulator = 0) {
    for (; at < program_.size() && steps_ > 0; ++at, --steps_) {
      const sock_filter& each = program_[at];
      if (each.code == (BPF_RET | BPF_K)) {
        const uint32_t action = each.k & SECCOMP_RET_ACTION_FULL;
        return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
      }
      if (each.code == (BPF_LD | BPF_W | BPF_ABS)) {
        accumulator = loaded(each.k);
      } else if (each.code == (BPF_ALU | BPF_AND | BPF_K)) {
        accumulator = accumulator ? std::optional(*accumulator & each.k) : std::nullopt;
      } else if (each.code == (BPF_JMP | BPF_JA)) {
        at += each.k;
      } else if (BPF_CLASS(each.code) != BPF_JMP || BPF_SRC(each.code) != BPF_K) {
        return false;
      } else if (!accumulator && !passes(at + 1 + each.jt, accumulator)) {
        return false;
      } else {
        at += accumulator && holds(each, *accumulator) ? each.jt : each.jf;
      }
    }
    return false;
  }

 private:
  std::optional<uint32_t> loaded(uint32_t offset) const {
    return offset == offsetof(seccomp_data, nr)     ? std::optional(call_)
           : offset == offsetof(seccomp_data, arch) ? std::optional(::seccomp_arch_native())
                                                    : std::nullopt;
  }
  static bool holds(const sock_filter& condition, uint32_t value) {
    switch (BPF_OP(condition.code)) {
      case BPF_JEQ:
        return value == condition.k;
      case BPF_JGT:
        return value > condition.k;
      case BPF_JGE:
        return value >= condition.k;
      default:
        return (value & condition.k) != 0;  // BPF_JSET
    }
  }

  std::span<const sock_filter> program_;
  uint32_t call_;
  int steps_ = 20'000;
};

}  // namespace

bool lets_through(const SeccompProgram& program, std::span<const long> calls) {
  if (program.instructions.empty()) {
    return false;
  }
  std::vector<sock_filter> instructions(program.instructions.size() / sizeof(sock_filter));
  std::memcpy(instructions.data(), program.instructions.data(), instructions.size() * sizeof(sock_filter));
  return std::all_of(calls.begin(), calls.end(), [&](long call) { return Follower(instructions, static_cast<uint32_t>(call)).passes(); });
}

}  // namespace jigsaw::security
