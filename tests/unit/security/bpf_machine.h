// A classic BPF machine (seccomp(2), bpf(4)): what a filter answers to a system call, without loading it.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace jigsaw::security {

inline std::vector<sock_filter> instructions_of(const std::vector<char>& bytes) {
  std::vector<sock_filter> code(bytes.size() / sizeof(sock_filter));
  std::memcpy(code.data(), bytes.data(), code.size() * sizeof(sock_filter));
  return code;
}

inline bool holds(const sock_filter& jump, uint32_t a, uint32_t x) {
  const uint32_t other = BPF_SRC(jump.code) == BPF_X ? x : jump.k;
  switch (BPF_OP(jump.code)) {
    case BPF_JEQ:
      return a == other;
    case BPF_JGT:
      return a > other;
    case BPF_JGE:
      return a >= other;
    case BPF_JSET:
      return (a & other) != 0;
    default:
      throw std::runtime_error("an unknown jump");
  }
}

// Throws if the program does anything that the kernel would not accept of a filter.
inline uint32_t evaluate(const std::vector<sock_filter>& code, const seccomp_data& data) {
  uint32_t a = 0;
  uint32_t x = 0;
  uint32_t memory[BPF_MEMWORDS] = {};
  for (size_t at = 0; at < code.size(); ++at) {
    const sock_filter& now = code[at];
    switch (BPF_CLASS(now.code)) {
      case BPF_LD:
        if (BPF_MODE(now.code) == BPF_MEM) {
          a = memory[now.k];
        } else if (BPF_MODE(now.code) == BPF_ABS && now.k + 4 <= sizeof data && now.k % 4 == 0) {
          std::memcpy(&a, reinterpret_cast<const char*>(&data) + now.k, 4);
        } else {
          throw std::runtime_error("an unknown load");
        }
        break;
      case BPF_LDX:
        x = BPF_MODE(now.code) == BPF_MEM ? memory[now.k] : now.k;
        break;
      case BPF_ST:
        memory[now.k] = a;
        break;
      case BPF_ALU:
        if (BPF_OP(now.code) != BPF_AND) {
          throw std::runtime_error("unknown arithmetic");
        }
        a &= BPF_SRC(now.code) == BPF_X ? x : now.k;
        break;
      case BPF_JMP:
        at += BPF_OP(now.code) == BPF_JA ? now.k : holds(now, a, x) ? now.jt : now.jf;
        break;
      case BPF_MISC:
        (BPF_MISCOP(now.code) == BPF_TAX ? x : a) = BPF_MISCOP(now.code) == BPF_TAX ? a : x;
        break;
      case BPF_RET:
        return BPF_RVAL(now.code) == BPF_A ? a : now.k;
      default:
        throw std::runtime_error("an unknown instruction");
    }
  }
  throw std::runtime_error("the program has no end");
}

}  // namespace jigsaw::security
