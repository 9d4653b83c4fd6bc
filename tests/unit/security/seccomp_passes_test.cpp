// What a filter lets through whatever the arguments, told without loading it.
#include "security/seccomp_passes.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <vector>

namespace jigsaw::security {
namespace {

bool passes(const Seccomp& rules, std::vector<long> calls) { return lets_through(compile(rules), calls); }

TEST(SeccompPasses, WhatTheDefaultFilterAllowsToEverybody) {
  EXPECT_TRUE(passes(default_seccomp(0), {SYS_read, SYS_execve, SYS_sendmsg, SYS_accept4, SYS_close_range, SYS_exit_group}));
  EXPECT_FALSE(passes(default_seccomp(0), {SYS_read, SYS_mount}));
  EXPECT_FALSE(passes(default_seccomp(0), {SYS_clone}));  // by its flags
}

TEST(SeccompPasses, NothingThatDependsOnAnArgument) {
  Seccomp rules{.rules = {{.names = {"acct"}, .action = "SCMP_ACT_ERRNO"},
                          {.names = {"write"}, .action = "SCMP_ACT_ERRNO", .arguments = {{.index = 1, .value = 7, .comparison = "SCMP_CMP_EQ"}}}}};
  EXPECT_TRUE(passes(rules, {SYS_read, SYS_close}));
  EXPECT_FALSE(passes(rules, {SYS_acct}));
  EXPECT_FALSE(passes(rules, {SYS_write}));
  rules = {.default_action = "SCMP_ACT_ERRNO", .rules = {{.names = {"read"}, .action = "SCMP_ACT_LOG"}, {.names = {"write"}, .action = "SCMP_ACT_NOTIFY"}}};
  EXPECT_TRUE(passes(rules, {SYS_read}));
  EXPECT_FALSE(passes(rules, {SYS_write}));
  EXPECT_FALSE(passes(rules, {SYS_close}));
}

TEST(SeccompPasses, NothingIfItIsNoFilter) {
  EXPECT_FALSE(lets_through({}, std::vector<long>{SYS_read}));
  EXPECT_FALSE(lets_through({.instructions = std::vector<char>(80'000, '\x05')}, std::vector<long>{SYS_read}));  // jumps that lead nowhere
}

}  // namespace
}  // namespace jigsaw::security
