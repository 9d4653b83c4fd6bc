// What compiled filters answer. The numbers are x86_64's: elsewhere only what holds everywhere is tested.
#include "security/seccomp.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "bpf_machine.h"
#include "security/seccomp_newer.h"

namespace jigsaw::security {
namespace {

#ifdef __x86_64__
constexpr uint32_t kHere = AUDIT_ARCH_X86_64;
#else
constexpr uint32_t kHere = AUDIT_ARCH_AARCH64;
#endif
constexpr uint32_t kX32Bit = 0x40000000;

constexpr uint32_t refused(int number) { return SECCOMP_RET_ERRNO | static_cast<uint32_t>(number); }

class Filter {
 public:
  explicit Filter(const Seccomp& seccomp) : code_(instructions_of(compile(seccomp).instructions)) {}
  uint32_t operator()(long number, uint64_t first = 0, uint64_t second = 0, uint32_t architecture = kHere) const {
    seccomp_data data{};
    data.nr = static_cast<int>(number);
    data.arch = architecture;
    data.args[0] = first;
    data.args[1] = second;
    return evaluate(code_, data);
  }

 private:
  std::vector<sock_filter> code_;
};

SeccompRule rule(std::vector<std::string> names, std::string action, std::vector<SeccompArgument> arguments = {}) {
  return {.names = std::move(names), .action = std::move(action), .arguments = std::move(arguments)};
}

TEST(Seccomp, EveryActionIsWhatTheKernelCallsIt) {
  const std::vector<std::pair<std::string, uint32_t>> actions = {
      {"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},           {"SCMP_ACT_ERRNO", refused(EPERM)},
      {"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},      {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
      {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS}, {"SCMP_ACT_LOG", SECCOMP_RET_LOG},
      {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},             {"SCMP_ACT_TRACE", SECCOMP_RET_TRACE | EPERM},
      {"SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF}};
  ASSERT_EQ(actions.size(), known_seccomp_actions().size());
  for (const auto& [name, answer] : actions) {
    const bool allows = name == "SCMP_ACT_ALLOW";
    const Filter filter({.default_action = allows ? "SCMP_ACT_LOG" : "SCMP_ACT_ALLOW", .rules = {rule({"getcwd"}, name)}});
    EXPECT_EQ(filter(SYS_getcwd), answer) << name;
    EXPECT_EQ(filter(SYS_chdir), allows ? SECCOMP_RET_LOG : SECCOMP_RET_ALLOW) << name;
    if (name != "SCMP_ACT_NOTIFY") {
      EXPECT_EQ(Filter({.default_action = name})(SYS_getcwd), answer) << name;
    }
  }
  EXPECT_THROW(validate({.default_action = "SCMP_ACT_NOSUCH"}), Error);
  EXPECT_THROW(validate({.rules = {rule({"read"}, "allow")}}), Error);
}

TEST(Seccomp, EveryOperatorComparesAllOf64Bits) {
  constexpr uint64_t kValue = 0x1'0000'0005;
  struct Case {
    const char* comparison;
    uint64_t second;
    std::vector<uint64_t> hit;
    std::vector<uint64_t> miss;
  };
  const std::vector<Case> cases = {
      {"SCMP_CMP_EQ", 0, {kValue}, {5, kValue + 1, 0x2'0000'0005}},
      {"SCMP_CMP_NE", 0, {5, kValue + 1, 0x2'0000'0005}, {kValue}},
      {"SCMP_CMP_LT", 0, {0, 6, kValue - 1}, {kValue, kValue + 1, 0x2'0000'0000}},
      {"SCMP_CMP_LE", 0, {0, 6, kValue}, {kValue + 1, 0x2'0000'0000}},
      {"SCMP_CMP_GE", 0, {kValue, kValue + 1, 0x2'0000'0000}, {0, 6, kValue - 1}},
      {"SCMP_CMP_GT", 0, {kValue + 1, 0x2'0000'0000}, {0, 6, kValue}},
      {"SCMP_CMP_MASKED_EQ", 0x1'0000'0001, {0x1'0000'0001, 0x3'0000'0001, 0x1'0000'000b}, {kValue, 5, 1, 0x1'0000'0004}}};
  ASSERT_EQ(cases.size(), known_seccomp_operators().size());
  for (const Case& one : cases) {
    const Filter filter({.rules = {rule({"dup"}, "SCMP_ACT_ERRNO", {{0, kValue, one.second, one.comparison}})}});
    for (const uint64_t value : one.hit) {
      EXPECT_EQ(filter(SYS_dup, value), refused(EPERM)) << one.comparison << " " << value;
    }
    for (const uint64_t value : one.miss) {
      EXPECT_EQ(filter(SYS_dup, value), SECCOMP_RET_ALLOW) << one.comparison << " " << value;
    }
  }
  EXPECT_THROW(validate({.rules = {rule({"dup"}, "SCMP_ACT_ERRNO", {{0, 1, 0, "=="}})}}), Error);
  EXPECT_THROW(validate({.rules = {rule({"dup"}, "SCMP_ACT_ERRNO", {{6, 1, 0, "SCMP_CMP_EQ"}})}}), Error);
}

TEST(Seccomp, ConditionsOnSeveralArgumentsMustAllHoldAndOnTheSameOneIsEnough) {
  const Filter both({.rules = {rule({"dup2"}, "SCMP_ACT_ERRNO", {{0, 1, 0, "SCMP_CMP_EQ"}, {1, 2, 0, "SCMP_CMP_EQ"}})}});
  const Filter either({.rules = {rule({"dup2"}, "SCMP_ACT_ERRNO", {{0, 1, 0, "SCMP_CMP_EQ"}, {0, 2, 0, "SCMP_CMP_EQ"}})}});
#ifdef SYS_dup2
  EXPECT_EQ(both(SYS_dup2, 1, 2), refused(EPERM));
  EXPECT_EQ(both(SYS_dup2, 1, 3), SECCOMP_RET_ALLOW);
  EXPECT_EQ(either(SYS_dup2, 1), refused(EPERM));
  EXPECT_EQ(either(SYS_dup2, 2), refused(EPERM));
  EXPECT_EQ(either(SYS_dup2, 3), SECCOMP_RET_ALLOW);
#endif
}

TEST(Seccomp, ErrorNumbersAreThoseOfTheRuleOrTheDefault) {
  SeccompRule with_number = rule({"getcwd"}, "SCMP_ACT_ERRNO");
  with_number.error_number = 99;
  SeccompRule traced = rule({"dup"}, "SCMP_ACT_TRACE");
  traced.error_number = 7;
  const Filter filter({.default_action = "SCMP_ACT_ERRNO", .default_error_number = 55,
                       .rules = {with_number, rule({"chdir"}, "SCMP_ACT_ERRNO"), traced, rule({"openat2"}, "SCMP_ACT_ALLOW")}});
  EXPECT_EQ(filter(SYS_getcwd), refused(99));
  EXPECT_EQ(filter(SYS_chdir), refused(EPERM));
  EXPECT_EQ(filter(SYS_dup), SECCOMP_RET_TRACE | 7);
  EXPECT_EQ(filter(SYS_close), refused(55));
}

TEST(Seccomp, UnknownNamesArePassedOver) {
  const Filter filter({.rules = {rule({"nosuchcall", "getcwd", "read\nwrite", ""}, "SCMP_ACT_ERRNO")}});
  EXPECT_EQ(filter(SYS_getcwd), refused(EPERM));
  EXPECT_EQ(filter(SYS_read), SECCOMP_RET_ALLOW);
}

TEST(Seccomp, WhatIsNewerThanTheFilterDoesNotExist) {
  const Seccomp list{.default_action = "SCMP_ACT_ERRNO", .rules = {rule({"read", "getcwd", "openat2"}, "SCMP_ACT_ALLOW")}};
  const Filter filter(list);
  EXPECT_EQ(filter(SYS_openat2), SECCOMP_RET_ALLOW);
  EXPECT_EQ(filter(SYS_openat2 + 1), refused(ENOSYS));
  EXPECT_EQ(filter(9999), refused(ENOSYS));
  EXPECT_EQ(filter(SYS_close), refused(EPERM));  // left out on purpose
  EXPECT_EQ(filter(SYS_getcwd), SECCOMP_RET_ALLOW);
  Seccomp other = list;
  other.default_error_number = EACCES;
  EXPECT_EQ(Filter(other)(9999), refused(ENOSYS));
  EXPECT_EQ(Filter(other)(SYS_close), refused(EACCES));
}

TEST(Seccomp, WhoKillsOrAllowsTheRestMeansAllOfIt) {
  const auto answer = [](const char* action) {
    const bool allows = std::string(action) == "SCMP_ACT_ALLOW";
    return Filter({.default_action = action, .rules = {rule({"read"}, allows ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW")}})(9999);
  };
  EXPECT_EQ(answer("SCMP_ACT_ALLOW"), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer("SCMP_ACT_LOG"), SECCOMP_RET_LOG);
  EXPECT_EQ(answer("SCMP_ACT_TRACE"), SECCOMP_RET_TRACE | EPERM);
  EXPECT_EQ(answer("SCMP_ACT_KILL"), SECCOMP_RET_KILL_THREAD);
  EXPECT_EQ(answer("SCMP_ACT_KILL_PROCESS"), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(answer("SCMP_ACT_TRAP"), SECCOMP_RET_TRAP);
}

#ifdef __x86_64__
TEST(Seccomp, EachArchitectureHasItsOwnNumbers) {
  const Filter filter({.default_action = "SCMP_ACT_ERRNO",
                       .architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"},
                       .rules = {rule({"read", "openat2"}, "SCMP_ACT_ALLOW")}});
  constexpr long kRead386 = 3;
  EXPECT_EQ(filter(kRead386, 0, 0, AUDIT_ARCH_I386), SECCOMP_RET_ALLOW);
  EXPECT_EQ(filter(SYS_openat2, 0, 0, AUDIT_ARCH_I386), SECCOMP_RET_ALLOW);
  EXPECT_EQ(filter(SYS_openat2 + 1, 0, 0, AUDIT_ARCH_I386), refused(ENOSYS));
  EXPECT_EQ(filter(SYS_openat2 + 1), refused(ENOSYS));
  EXPECT_EQ(filter(SYS_close), refused(EPERM));
  EXPECT_EQ(filter(SYS_openat2 | kX32Bit), SECCOMP_RET_ALLOW);
  EXPECT_EQ(filter(SYS_close | kX32Bit), refused(EPERM));
  EXPECT_EQ(filter(9999 | kX32Bit), refused(ENOSYS));
  const Filter one({.default_action = "SCMP_ACT_ERRNO", .rules = {rule({"read", "openat2"}, "SCMP_ACT_ALLOW")}});
  EXPECT_EQ(one(SYS_read, 0, 0, AUDIT_ARCH_I386), SECCOMP_RET_KILL_THREAD);  // a foreign architecture has nothing to say
  EXPECT_EQ(one(SYS_read | kX32Bit), SECCOMP_RET_KILL_THREAD);
  EXPECT_EQ(one(9999, 0, 0, AUDIT_ARCH_AARCH64), SECCOMP_RET_KILL_THREAD);
}
#endif

TEST(SeccompNewer, OtherMachinesArePassedOnAndZeroIsUnknownOnS390) {
  std::vector<sock_filter> code = refuse_newer(std::vector<Newest>{{AUDIT_ARCH_S390X, false, 100}, {AUDIT_ARCH_AARCH64, false, 50}});
  code.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  const auto answer = [&](uint32_t architecture, int number) {
    seccomp_data data{};
    data.nr = number;
    data.arch = architecture;
    return evaluate(code, data);
  };
  EXPECT_EQ(answer(AUDIT_ARCH_S390X, 0), refused(ENOSYS));
  EXPECT_EQ(answer(AUDIT_ARCH_S390X, 100), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(AUDIT_ARCH_S390X, 101), refused(ENOSYS));
  EXPECT_EQ(answer(AUDIT_ARCH_AARCH64, 0), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(AUDIT_ARCH_AARCH64, 51), refused(ENOSYS));
  EXPECT_EQ(answer(AUDIT_ARCH_PPC64, 9999), SECCOMP_RET_ALLOW);
}

TEST(Seccomp, FlagsAreThoseOfTheKernel) {
  const auto flags = [](const char* name) { return compile({.flags = {name}}).flags; };
  EXPECT_EQ(flags("SECCOMP_FILTER_FLAG_LOG"), unsigned{SECCOMP_FILTER_FLAG_LOG});
  EXPECT_EQ(flags("SECCOMP_FILTER_FLAG_SPEC_ALLOW"), unsigned{SECCOMP_FILTER_FLAG_SPEC_ALLOW});
  EXPECT_EQ(flags("SECCOMP_FILTER_FLAG_TSYNC"), 0U);  // there is one thread
  EXPECT_EQ(flags("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"), 1U << 5);
  EXPECT_EQ(flags("SECCOMP_FILTER_FLAG_NEW_LISTENER"), 0U);  // nobody would get it
  const SeccompProgram notifying = compile({.flags = {"SECCOMP_FILTER_FLAG_LOG"}, .listener_path = "/agent"});
  EXPECT_EQ(notifying.flags, unsigned{SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_NEW_LISTENER});
  EXPECT_TRUE(notifying.notifies);
  EXPECT_THROW(validate({.flags = {"SECCOMP_FILTER_FLAG_NOSUCH"}}), Error);
}

TEST(Seccomp, AFilterThatTheKernelWouldNotTakeIsRefusedBefore) {
  Seccomp many;
  for (uint64_t i = 0; i < 3000; ++i) {
    many.rules.push_back(rule({"dup"}, "SCMP_ACT_ERRNO", {{0, i * 0x1'0000'0001, 0, "SCMP_CMP_EQ"}}));
  }
  EXPECT_THROW(compile(many), Error);
}

TEST(Seccomp, AFilterIsTakenFromTheCacheForTheSameRulesOnly) {
  const files::TemporaryDirectory directory;
  const std::string cache = directory.path() + "/cache";
  const Seccomp two{.rules = {rule({"mount", "getcwd"}, "SCMP_ACT_ERRNO")}};
  // Names that nobody knows, and that look like others once they are written side by side.
  for (const char* name : {"mount,getcwd", "mount 6:getcwd", "mount\ngetcwd", "mount 6:getcwd SCMP_ACT_ERRNO 1\n"}) {
    const Seccomp trap{.rules = {rule({name}, "SCMP_ACT_ERRNO")}};
    compile(trap, cache);
    const auto code = instructions_of(compile(two, cache).instructions);
    seccomp_data data{};
    data.nr = SYS_getcwd;
    data.arch = kHere;
    EXPECT_EQ(evaluate(code, data), refused(EPERM)) << name;
  }
  const SeccompProgram again = compile(two, cache);
  EXPECT_NE(again.cached_at, "");
  EXPECT_EQ(again.instructions, compile(two).instructions);
  files::replace(again.cached_at, "0 0 0\nnonsense");
  EXPECT_EQ(compile(two, cache).instructions, again.instructions);
  const std::string kept = directory.path() + "/kept";
  save(again, kept);
  EXPECT_EQ(load_saved(kept)->instructions, again.instructions);
  for (int i = 0; i < 70; ++i) {
    compile({.rules = {rule({"getcwd"}, "SCMP_ACT_ERRNO", {{0, static_cast<uint64_t>(i), 0, "SCMP_CMP_EQ"}})}}, cache);
  }
  EXPECT_LE(files::list(cache).size(), 64U);
}

TEST(Seccomp, ARuleThatIsSaidOverAndOverIsOneRule) {
  const SeccompRule rule{.names = {"acct"}, .action = "SCMP_ACT_ERRNO"};
  const auto once = compile({.rules = {rule}});
  const auto often = compile({.rules = std::vector<SeccompRule>(100'000, rule)});  // minutes if each looked at those before it
  EXPECT_EQ(once.instructions, often.instructions);
  EXPECT_EQ(once.instructions, compile({.rules = {rule, {.names = {"acct"}, .action = "SCMP_ACT_KILL"}}}).instructions) << "the first holds";
}

TEST(Seccomp, AFilterThatNoKernelTakesIsRefusedBeforeItIsCompiled) {
  Seccomp many{.default_action = "SCMP_ACT_ALLOW"};
  for (uint64_t i = 0; i < 50'000; ++i) {
    many.rules.push_back({.names = {"read"}, .action = "SCMP_ACT_ERRNO", .arguments = {{.index = 0, .value = i, .comparison = "SCMP_CMP_EQ"}}});
  }
  EXPECT_THROW(validate(many), Error);
  many.rules.resize(1'000);
  EXPECT_NO_THROW(validate(many));
}

}  // namespace
}  // namespace jigsaw::security
