// A filter written anew as ranges answers every system call as the one that libseccomp wrote.
#include "security/seccomp_ranges.h"

#include <gtest/gtest.h>
#include <seccomp.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <random>

#include "base/fd.h"
#include "base/files.h"
#include "bpf_machine.h"
#include "security/capabilities.h"
#include "security/seccomp.h"

namespace jigsaw::security {
namespace {

std::vector<sock_filter> by_libseccomp(const std::function<void(scmp_filter_ctx)>& fill, unsigned optimize) {
  scmp_filter_ctx context = ::seccomp_init(SCMP_ACT_ERRNO(EPERM));
  ::seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, optimize);
  fill(context);
  char name[] = "/tmp/filter-XXXXXX";
  const Fd file(::mkstemp(name));
  ::unlink(name);
  EXPECT_EQ(::seccomp_export_bpf(context, file.get()), 0);
  ::seccomp_release(context);
  ::lseek(file.get(), 0, SEEK_SET);
  const std::string bytes = files::read_fd(file.get(), "filter");
  return instructions_of({bytes.begin(), bytes.end()});
}

const std::vector<uint32_t> kArchitectures = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, 0, UINT32_MAX};

// Every number that exists or may come, and some that never will.
std::vector<uint32_t> numbers() {
  std::vector<uint32_t> result = {0x3fffffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
  for (uint32_t i = 0; i < 1200; ++i) {
    result.push_back(i);
    result.push_back(0x40000000 + i);
  }
  for (uint32_t i = 0xf0000; i < 0xf0010; ++i) {  // arm's own
    result.push_back(i);
  }
  return result;
}

void expect_same(const std::vector<sock_filter>& before, const std::vector<sock_filter>& after) {
  std::mt19937_64 random(1);
  const std::vector<uint64_t> arguments = {0, 1, 2, 5, 8, 40, 0x20000, 0x10000000, 0x7e020000, 0xffffffff, 0x1'0000'0000, ~0ULL};
  size_t different = 0;
  for (const uint32_t architecture : kArchitectures) {
    for (const uint32_t number : numbers()) {
      for (int tries = 0; tries < 4; ++tries) {
        seccomp_data data{};
        data.nr = static_cast<int>(number);
        data.arch = architecture;
        for (auto& argument : data.args) {
          argument = arguments[random() % arguments.size()];
        }
        different += evaluate(before, data) != evaluate(after, data) ? 1 : 0;
      }
    }
  }
  EXPECT_EQ(different, 0U);
}

void add_conditions(scmp_filter_ctx context) {
  for (const uint64_t value : {0ULL, 8ULL, 0x20000ULL, 0xffffffffULL, 0x1'0000'0000ULL}) {
    ::seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1, SCMP_A0(SCMP_CMP_EQ, value));
  }
  ::seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, 40));
  ::seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, 0x7e020000, 0));
  ::seccomp_rule_add(context, SCMP_ACT_KILL_PROCESS, SCMP_SYS(dup3), 2, SCMP_A0(SCMP_CMP_GE, 5), SCMP_A2(SCMP_CMP_LT, 0x1'0000'0000));
}

void allow_many(scmp_filter_ctx context) {
  for (int number = 0; number < 450; ++number) {
    if (number % 17 != 3) {
      ::seccomp_rule_add(context, SCMP_ACT_ALLOW, number, 0);
    }
  }
}

TEST(SeccompRanges, AnswersAreTheSameAndTheProgramIsMuchShorter) {
  for (const unsigned optimize : {1U, 2U}) {  // as a list, and as a tree
    for (const bool conditions : {false, true}) {
      const auto before = by_libseccomp([&](scmp_filter_ctx context) {
#ifdef __x86_64__
        ::seccomp_arch_add(context, SCMP_ARCH_X86);
        ::seccomp_arch_add(context, SCMP_ARCH_X32);
#endif
        if (conditions) {
          add_conditions(context);
        }
        allow_many(context);
      }, optimize);
      const auto after = as_ranges(before);
      EXPECT_LT(after.size() * 3, before.size() * 2);
      expect_same(before, after);
    }
  }
}

TEST(SeccompRanges, TheDefaultFilterIsAQuarterOfWhatLibseccompMakesOfIt) {
  const size_t size = instructions_of(compile(default_seccomp(default_capabilities())).instructions).size();
  EXPECT_LT(size, 450U) << "1447 without ranges";
}

TEST(SeccompDefault, GoesByTheCapabilitiesAndIsCompiledFromItsRules) {
  for (const uint64_t capabilities : {uint64_t{0}, default_capabilities(), every_capability()}) {
    const SeccompProgram filter = compile(default_seccomp(capabilities));
    EXPECT_EQ(filter.instructions, compile(default_rules(capabilities)).instructions);
    const files::TemporaryDirectory cache;
    EXPECT_EQ(compile(default_seccomp(capabilities), cache.path()).instructions, filter.instructions);
    EXPECT_EQ(files::list(cache.path()).size(), 1U);
    EXPECT_EQ(compile(default_seccomp(capabilities), cache.path()).instructions, filter.instructions) << "from the cache";
  }
  EXPECT_NE(compile(default_seccomp(0)).instructions, compile(default_seccomp(every_capability())).instructions);
}

TEST(SeccompRanges, APartFarAwayIsReached) {
  // Every second number has an answer of its own: the halves of the tree are more than 255 instructions apart.
  const auto before = by_libseccomp([](scmp_filter_ctx context) {
    for (int number = 0; number < 440; number += 2) {
      ::seccomp_rule_add(context, SCMP_ACT_ERRNO(static_cast<uint16_t>(100 + number)), number, 0);
    }
  }, 1);
  expect_same(before, as_ranges(before));
}

TEST(SeccompRanges, WhatIsNotUnderstoodStaysAsItIs) {
  const auto same = [](const std::vector<sock_filter>& before) {
    const auto after = as_ranges(before);
    return after.size() == before.size() && (after.empty() || std::memcmp(after.data(), before.data(), after.size() * sizeof(sock_filter)) == 0);
  };
  constexpr sock_filter kLoadNumber{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)};
  constexpr sock_filter kLoadArchitecture{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, arch)};
  constexpr sock_filter kAllow{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  constexpr sock_filter kKill{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS};
  EXPECT_TRUE(same({kAllow}));
  EXPECT_TRUE(same({kLoadNumber, {BPF_JMP | BPF_JSET | BPF_K, 0, 1, 1}, kAllow, kKill})) << "odd numbers are no range";
  EXPECT_TRUE(same({kLoadNumber, {BPF_ALU | BPF_AND | BPF_K, 0, 0, 7}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 1}, kAllow, kKill}));
  EXPECT_TRUE(same({kLoadArchitecture, {BPF_JMP | BPF_JGT | BPF_K, 0, 1, 1}, kAllow, kKill}));
  EXPECT_TRUE(same({kLoadNumber, {BPF_JMP | BPF_JEQ | BPF_K, 9, 1, 1}, kAllow, kKill})) << "a jump out of the program";
  EXPECT_TRUE(same({{BPF_RET | BPF_A, 0, 0, 0}}));
  EXPECT_TRUE(same({}));
}

}  // namespace
}  // namespace jigsaw::security
